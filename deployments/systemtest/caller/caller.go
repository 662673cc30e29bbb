// Package caller is a person in a call: a real LiveKit client that joins with a token, publishes
// audio, hears the others and leaves.
package caller

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

const (
	// frameInterval is the time from one frame to the next. A microphone that hears nothing sends
	// few (RFC 6716, 2.1.9: discontinuous transmission), and dozens of callers share two processors.
	frameInterval = 100 * time.Millisecond
	// clockRate of Opus in RTP (RFC 7587).
	clockRate = 48000
	channels  = 2
	// connectTimeout is how long the media connection may take, on a machine under load too.
	connectTimeout = 20 * time.Second
)

// silence is one Opus frame without sound: the TOC byte of a 20 ms CELT frame, and an empty one
// (RFC 6716, 3.1).
var silence = []byte{0xf8, 0xff, 0xfe}

func init() {
	// The SDK logs to standard error unless told otherwise; what a caller has to say comes as
	// errors.
	lksdk.SetLogger(logger.GetDiscardLogger())
}

// Caller is in a room from Join until Leave, or until the server ends it. It may be used by several
// goroutines at once.
type Caller struct {
	room     *lksdk.Room
	identity string
	heard    atomic.Int64

	gone   chan struct{}
	ended  sync.Once
	reason string // written before gone is closed, read after

	mu        sync.Mutex // guards left, and orders the last listener's start before Leave's wait
	left      bool
	listeners sync.WaitGroup
}

// Join connects to the LiveKit server at url (ws or wss) with the token and is in the room when it
// returns. Each caller that has joined must Leave.
func Join(ctx context.Context, url, token string) (*Caller, error) {
	c := &Caller{gone: make(chan struct{})}
	c.room = lksdk.NewRoom(&lksdk.RoomCallback{
		OnDisconnected:      func() { c.end(c.room.DisconnectReason()) },
		ParticipantCallback: lksdk.ParticipantCallback{OnTrackSubscribed: c.listen},
	})
	if err := c.room.JoinWithContextAndToken(ctx, url, token, lksdk.WithConnectTimeout(connectTimeout)); err != nil {
		c.room.Disconnect()
		return nil, fmt.Errorf("joining the call at %s: %w", url, err)
	}
	c.identity = c.room.LocalParticipant.Identity()
	return c, nil
}

// Identity is what the room knows the caller as.
func (c *Caller) Identity() string { return c.identity }

// Room is the name of the room.
func (c *Caller) Room() string { return c.room.Name() }

// SID is the server's name of this stay in the room; another one after a rejoin.
func (c *Caller) SID() string { return c.room.LocalParticipant.SID() }

// Connected is the sid of the connection by which the caller is in the room as far as its client
// knows; "" while it is in none.
func (c *Caller) Connected() string {
	if c.Reason() != "" || c.room.ConnectionState() != lksdk.ConnectionStateConnected {
		return ""
	}
	return c.SID()
}

// PublishAudio publishes an Opus track from a microphone that hears nothing, and gives its sid when
// the server has taken it.
func (c *Caller) PublishAudio(ctx context.Context) (string, error) {
	track, err := lksdk.NewLocalTrack(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: clockRate, Channels: channels})
	if err != nil {
		return "", fmt.Errorf("making an audio track: %w", err)
	}
	if err := track.StartWrite(&quietRoom{}, nil); err != nil {
		return "", fmt.Errorf("starting the audio track: %w", err)
	}
	type published struct {
		sid string
		err error
	}
	done := make(chan published, 1)
	go func() { // ends by the SDK's own time limit at the latest
		pub, err := c.room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{
			Name: "microphone", Source: livekit.TrackSource_MICROPHONE,
		})
		if err != nil {
			done <- published{err: err}
			return
		}
		done <- published{sid: pub.SID()}
	}()
	select {
	case p := <-done:
		if p.err != nil {
			return "", fmt.Errorf("publishing audio as %s: %w", c.identity, p.err)
		}
		return p.sid, nil
	case <-ctx.Done():
		return "", fmt.Errorf("publishing audio as %s: %w", c.identity, ctx.Err())
	}
}

// Migrate asks the server to move the caller to another of its nodes, as one that is drained does;
// the client follows by itself.
func (c *Caller) Migrate() { c.room.Simulate(lksdk.SimulateMigration) }

// Heard is how many audio packets of others have arrived.
func (c *Caller) Heard() int64 { return c.heard.Load() }

// Gone is closed when the caller's stay has ended, by the server or by Leave.
func (c *Caller) Gone() <-chan struct{} { return c.gone }

// Reason is LiveKit's reason once Gone is closed, such as ROOM_DELETED, or CLIENT_INITIATED after
// Leave; empty before.
func (c *Caller) Reason() string {
	select {
	case <-c.gone:
		return c.reason
	default:
		return ""
	}
}

func (c *Caller) end(reason livekit.DisconnectReason) {
	c.ended.Do(func() {
		c.reason = reason.String()
		close(c.gone)
	})
}

// Leave hangs up and waits until everything of the caller has stopped. It may be called again, and
// after the server has ended the stay.
func (c *Caller) Leave() {
	c.mu.Lock()
	first := !c.left
	c.left = true
	c.mu.Unlock()
	if first {
		c.room.Disconnect()
		c.end(livekit.DisconnectReason_CLIENT_INITIATED)
	}
	c.listeners.Wait()
}

// listen counts the packets of a track that the caller is subscribed to, until the track ends with
// the peer connection.
func (c *Caller) listen(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return
	}
	c.listeners.Go(func() {
		for {
			if _, _, err := track.ReadRTP(); err != nil {
				return
			}
			c.heard.Add(1)
		}
	})
}

// quietRoom is what the microphone picks up.
type quietRoom struct{ lksdk.BaseSampleProvider }

// NextSample is called once an interval by the track's writer.
func (*quietRoom) NextSample(context.Context) (media.Sample, error) {
	return media.Sample{Data: silence, Duration: frameInterval}, nil
}

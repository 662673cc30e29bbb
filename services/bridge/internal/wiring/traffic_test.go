//go:build integration

package wiring

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/utils/protojson"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/captures"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// signedWebhook is one that LiveKit would send.
type signedWebhook struct {
	event         *livekit.WebhookEvent
	body          []byte
	authorization string
}

// burst is how many webhooks of a room come at the same moment: one after the other, as LiveKit's queue of the room sends them.
const burst = 4

// recordedCall makes the webhooks of a call out of those of a recorded one, by their kind and who they are about: both come in; alice
// leaves and rejoins so many times; both leave. Each of these is a burst.
type recordedCall struct {
	t         testing.TB
	templates map[string]*livekit.WebhookEvent
	start     time.Time
	session   string
	told      int
	sids      map[string]string // of who is in the room
	track     string
}

func templates(t testing.TB) map[string]*livekit.WebhookEvent {
	t.Helper()
	all := map[string]*livekit.WebhookEvent{}
	for _, body := range captures.Bodies(t, "rejoin", "call-x", "#default") {
		e := &livekit.WebhookEvent{}
		require.NoError(t, protojson.Unmarshal(body, e))
		all[e.GetEvent()+" "+e.GetParticipant().GetIdentity()] = e
	}
	return all
}

// callEvents is what must become of such a call.
func callEvents(rejoins int) []events.Type {
	want := []events.Type{connecting, connected, joined, joined, published}
	for range rejoins {
		want = append(want, unpublished, left, joined, published)
	}
	return append(want, unpublished, left, left, disconnected)
}

// bursts returns the webhooks of a call of the session with rejoins, the first and the last burst included.
func bursts(t testing.TB, templates map[string]*livekit.WebhookEvent, session string, rejoins int) [][]signedWebhook {
	t.Helper()
	c := &recordedCall{t: t, templates: templates, start: time.Now(), session: session, sids: map[string]string{}}
	const alice, bob = "alice#default", "bob#default"
	all := [][]signedWebhook{{
		c.webhook("room_started", ""), c.webhook("participant_joined", alice), c.webhook("participant_joined", bob), c.webhook("track_published", alice),
	}}
	for range rejoins {
		all = append(all, c.rejoin(alice))
	}
	return append(all, []signedWebhook{
		c.webhook("track_unpublished", alice), c.webhook("participant_left", alice), c.webhook("participant_left", bob), c.webhook("room_finished", ""),
	})
}

func (c *recordedCall) rejoin(identity string) []signedWebhook {
	return []signedWebhook{
		c.webhook("track_unpublished", identity), c.webhook("participant_left", identity),
		c.webhook("participant_joined", identity), c.webhook("track_published", identity),
	}
}

func (c *recordedCall) webhook(kind, identity string) signedWebhook {
	template, found := c.templates[kind+" "+identity]
	require.True(c.t, found, "%s of %s is not recorded", kind, identity)
	e := proto.CloneOf(template)
	c.told++
	at := c.start.Add(time.Duration(c.told) * time.Millisecond)
	e.Id, e.CreatedAt = fmt.Sprintf("EV_%s_%d", c.session, c.told), at.Unix()
	e.Room.Name, e.Room.Sid = domain.RoomName(c.session), "RM_"+c.session
	if e.GetRoom().GetCreationTimeMs() != 0 {
		e.Room.CreationTime, e.Room.CreationTimeMs = c.start.Unix(), c.start.UnixMilli()
	}
	if kind == "participant_joined" {
		c.sids[identity] = fmt.Sprintf("PA_%s_%d", c.session, c.told)
		e.Participant.JoinedAt, e.Participant.JoinedAtMs = at.Unix(), at.UnixMilli()
	}
	if kind == "track_published" {
		c.track = fmt.Sprintf("TR_%s_%d", c.session, c.told)
	}
	if e.GetParticipant() != nil {
		e.Participant.Sid = c.sids[identity]
	}
	if e.GetTrack() != nil {
		e.Track.Sid, e.Track.Version = c.track, nil
	}
	return sign(c.t, e)
}

// sign makes the request out of what it tells, as LiveKit does.
func sign(t testing.TB, e *livekit.WebhookEvent) signedWebhook {
	t.Helper()
	body, err := protojson.Marshal(e)
	require.NoError(t, err)
	sum := sha256.Sum256(body)
	authorization, err := auth.NewAccessToken(benchedKey, benchedSecret).SetValidFor(time.Hour).
		SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
	require.NoError(t, err)
	return signedWebhook{event: e, body: body, authorization: authorization}
}

// answers is how long webhooks took, and what was not answered 200.
type answers struct {
	mu            sync.Mutex
	took, waited  []time.Duration // from when it was sent; from when it happened, so with what it waited for in its room's queue
	refused, late int
}

func (a *answers) note(took, waited time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.took, a.waited = append(a.took, took), append(a.waited, waited)
	if !ok {
		a.refused++
	}
	if waited > time.Second {
		a.late++
	}
}

// report prints the figures; prefix tells them from others.
func (a *answers) report(b *testing.B, prefix string) {
	b.Helper()
	slices.Sort(a.took)
	slices.Sort(a.waited)
	for name, list := range map[string][]time.Duration{"answer": a.took, "queued": a.waited} {
		b.ReportMetric(millis(list, 50), prefix+name+"-p50-ms")
		b.ReportMetric(millis(list, 99), prefix+name+"-p99-ms")
		b.ReportMetric(millis(list, 100), prefix+name+"-max-ms")
	}
	b.ReportMetric(float64(a.late), prefix+"later-than-1s")
	b.ReportMetric(float64(a.refused), prefix+"retries")
}

func millis(sorted []time.Duration, percent int) float64 {
	return float64(sorted[(len(sorted)-1)*percent/100].Microseconds()) / 1000
}

// sender is LiveKit with its webhooks.
type sender struct {
	b       *testing.B
	url     string
	client  *http.Client
	livekit *standIn
	answers answers
}

func (a *alone) sender(b *testing.B) *sender {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	return &sender{
		b: b, url: "http://" + a.address + "/livekit/webhook", livekit: a.livekit, client: &http.Client{Transport: transport, Timeout: time.Minute},
	}
}

// room sends the webhooks of one room in order, each burst at its time. LiveKit repeats what isn't answered 200; here that is counted, and
// fails the benchmark.
func (s *sender) room(ctx context.Context, calls [][]signedWebhook, due func(burst int) time.Time) {
	for n, list := range calls {
		happened := due(n)
		timer := time.NewTimer(time.Until(happened))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		for _, w := range list {
			began := time.Now()
			status, err := s.send(ctx, w)
			if err != nil || status != http.StatusOK {
				s.b.Errorf("a webhook was answered %d %v", status, err)
			}
			s.answers.note(time.Since(began), time.Since(happened), err == nil && status == http.StatusOK)
			s.livekit.told(w.event)
		}
	}
}

func (s *sender) send(ctx context.Context, w signedWebhook) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(w.body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", w.authorization)
	request.Header.Set("Content-Type", "application/webhook+json")
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

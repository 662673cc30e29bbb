//go:build integration

package wiring

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/utils/protojson"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/captures"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// webhook is one that LiveKit would send.
type webhook struct {
	event *livekit.WebhookEvent
	body  []byte
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

// bursts returns the webhooks of a call of the session with rejoins, the first and the last burst included. The call begins at start, and a
// millisecond passes before each of the webhooks, by whose number sids are named.
func bursts(t testing.TB, templates map[string]*livekit.WebhookEvent, session string, start time.Time, rejoins int) [][]webhook {
	t.Helper()
	c := &recordedCall{t: t, templates: templates, start: start, session: session, sids: map[string]string{}}
	const alice, bob = "alice#default", "bob#default"
	all := [][]webhook{{
		c.webhook("room_started", ""), c.webhook("participant_joined", alice), c.webhook("participant_joined", bob), c.webhook("track_published", alice),
	}}
	for range rejoins {
		all = append(all, c.rejoin(alice))
	}
	return append(all, []webhook{
		c.webhook("track_unpublished", alice), c.webhook("participant_left", alice), c.webhook("participant_left", bob), c.webhook("room_finished", ""),
	})
}

func (c *recordedCall) rejoin(identity string) []webhook {
	return []webhook{
		c.webhook("track_unpublished", identity), c.webhook("participant_left", identity),
		c.webhook("participant_joined", identity), c.webhook("track_published", identity),
	}
}

func (c *recordedCall) webhook(kind, identity string) webhook {
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
	body, err := protojson.Marshal(e)
	require.NoError(c.t, err)
	return webhook{event: e, body: body}
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
	for name, list := range map[string][]time.Duration{"answer": a.took, "queued": a.waited} {
		b.ReportMetric(testkit.Percentile(list, 50), prefix+name+"-p50-ms")
		b.ReportMetric(testkit.Percentile(list, 99), prefix+name+"-p99-ms")
		b.ReportMetric(testkit.Percentile(list, 100), prefix+name+"-max-ms")
	}
	b.ReportMetric(float64(a.late), prefix+"later-than-1s")
	b.ReportMetric(float64(a.refused), prefix+"retries")
}

// sender is LiveKit with its webhooks.
type sender struct {
	t           testing.TB
	url         string
	key, secret string
	copies      int // how often each is sent, all at once
	client      *http.Client
	told        func(e *livekit.WebhookEvent) // of each that was answered
	answers     answers
}

func newSender(t testing.TB, address, key, secret string) *sender {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &sender{
		t: t, url: "http://" + address + "/livekit/webhook", key: key, secret: secret, copies: 1,
		client: &http.Client{Transport: transport, Timeout: time.Minute}, told: func(*livekit.WebhookEvent) {},
	}
}

// room sends the webhooks of one room in order, each burst at its time. LiveKit repeats what isn't answered 200; here that is counted, and
// fails the test.
func (s *sender) room(ctx context.Context, bursts [][]webhook, due func(burst int) time.Time) {
	for n, list := range bursts {
		happened := due(n)
		timer := time.NewTimer(time.Until(happened))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		for _, w := range list {
			var sending sync.WaitGroup
			for range s.copies {
				sending.Go(func() { s.send(ctx, w, happened) })
			}
			sending.Wait()
			s.told(w.event)
		}
	}
}

func (s *sender) send(ctx context.Context, w webhook, happened time.Time) {
	began := time.Now()
	status, err := s.post(ctx, w)
	ok := err == nil && status == http.StatusOK
	if !ok {
		s.t.Errorf("a webhook was answered %d %v", status, err)
	}
	s.answers.note(time.Since(began), time.Since(happened), ok)
}

func (s *sender) post(ctx context.Context, w webhook) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(w.body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", signature(s.t, w.body, s.key, s.secret, time.Minute))
	request.Header.Set("Content-Type", "application/webhook+json")
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

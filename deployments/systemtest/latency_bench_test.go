//go:build integration

package systemtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/replay"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// BenchmarkWebhookToStream tells how long it takes from a webhook's leaving LiveKit to its event on an open stream of the session, one
// webhook after the other, and beside it, in the same moments, how long two commits and one confirmed publish take: one in each service's
// database, and one at their broker. ratio is the one median as a multiple of the other.
//
// "loaded" is the same with sixteen calls at once, each with the next webhook when the event of the last has come, by turns with sixteen who do
// what has to happen at least, on connections of their own.
func BenchmarkWebhookToStream(b *testing.B) {
	s := stack.Released(b, stack.WithBridge(map[string]string{"RECONCILE_INTERVAL": "0"})) // LiveKit has no such rooms
	w := &watching{s: s, floor: newFloor(b, s)}
	b.Run("idle", w.oneByOne)
	b.Run("loaded", w.manyAtOnce)
}

// watching is a stack with calls, each watched by somebody.
type watching struct {
	s     *stack.Stack
	floor *floor
	calls int // so far
}

func (w *watching) call(b *testing.B) *watchedCall {
	b.Helper()
	w.calls++
	return newWatchedCall(b, w.s, w.calls)
}

func (w *watching) oneByOne(b *testing.B) {
	call := w.call(b)
	var theirs, ours, answers []time.Duration
	profiled := profileBoth(b, w.s)
	for b.Loop() {
		w.floor.marked(b)
		theirs = append(theirs, w.floor.timed(b))
		if call.toggles > togglesOfACall {
			call.leave()
			call = w.call(b)
		}
		one, err := call.toggle(b.Context())
		require.NoError(b, err)
		ours, answers = append(ours, one), append(answers, call.answered)
	}
	profiled()
	b.ReportMetric(testkit.Percentile(answers, 50), "answer-p50-ms")
	b.ReportMetric(testkit.Percentile(ours, 50), "p50-ms")
	b.ReportMetric(testkit.Percentile(ours, 99), "p99-ms")
	b.ReportMetric(testkit.Percentile(theirs, 50), "floor-p50-ms")
	b.ReportMetric(testkit.Percentile(theirs, 99), "floor-p99-ms")
	b.ReportMetric(testkit.Percentile(ours, 50)/testkit.Percentile(theirs, 50), "ratio")
}

func (w *watching) manyAtOnce(b *testing.B) {
	floors := make(chan *floorConns, atOnce)
	for range atOnce {
		floors <- w.floor.connect(b)
	}
	ours, theirs := testkit.NewMeasured("product"), testkit.NewMeasured("floor")
	profiled := profileBoth(b, w.s)
	for b.Loop() {
		calls := make(chan *watchedCall, atOnce)
		for range atOnce {
			calls <- w.call(b)
		}
		theirs.Round(b, atOnce*togglesOfACall, atOnce, func(int) error {
			conns := <-floors
			defer func() { floors <- conns }()
			return conns.do(b.Context())
		})
		ours.Round(b, atOnce*togglesOfACall, atOnce, func(int) error {
			call := <-calls
			defer func() { calls <- call }()
			_, err := call.toggle(b.Context())
			return err
		})
		for range atOnce {
			(<-calls).leave()
		}
	}
	profiled()
	b.ReportMetric(ours.Percentile(50), "p50-ms")
	b.ReportMetric(ours.Percentile(99), "p99-ms")
	b.ReportMetric(ours.Percentile(99)/ours.Percentile(50), "p99-of-p50")
	b.ReportMetric(theirs.Percentile(50), "floor-p50-ms")
	b.ReportMetric(theirs.Percentile(99), "floor-p99-ms")
	b.ReportMetric(ours.Percentile(50)/theirs.Percentile(50), "ratio")
	b.ReportMetric(ours.Rate(), "webhooks/s")
	b.ReportMetric(theirs.Rate(), "floor/s")
}

// profileBoth takes a profile of each service.
func profileBoth(b *testing.B, s *stack.Stack) (wait func()) {
	b.Helper()
	sessions, bridge := testkit.ProfileCPU(b, "sessions", s.Sessions.Admin()), testkit.ProfileCPU(b, "bridge", s.Bridge.Admin())
	return func() { sessions(); bridge() }
}

const (
	togglesOfACall = 20 // the bridge remembers the tracks of a stay, so that none is told twice; nobody has hundreds
	atOnce         = 16
)

// watchedCall is a call whose webhooks are played, and whose events are followed.
type watchedCall struct {
	s       *stack.Stack
	client  *http.Client
	made    replay.Recording
	toggles int

	answered time.Duration // how long the last webhook's answer took
	types    chan string
	leave    func() // no longer follows
}

// newWatchedCall has somebody in a call of their own, and a stream of its events open.
func newWatchedCall(b *testing.B, s *stack.Stack, n int) *watchedCall {
	b.Helper()
	session, err := s.API.As(owner(n)).Create(b.Context(), callplane.NewSession{Kind: "audio"})
	require.NoError(b, err)
	token := s.Token(b, session.SessionID, owner(n))
	recording, err := replay.Load("clean")
	require.NoError(b, err)
	c := &watchedCall{s: s, client: &http.Client{Transport: &http.Transport{}}, types: make(chan string, 100)}
	c.made = recording.For(token.RoomName, map[string]string{"alice": token.Identity}, fmt.Sprintf("n%d", n))
	c.follow(b, session.SessionID, owner(n))
	for _, body := range c.made {
		if event(body, "room_started") || event(body, "participant_joined") && bytes.Contains(body, []byte(token.Identity)) {
			request, err := c.webhook(b.Context(), body)
			require.NoError(b, err)
			require.NoError(b, c.send(request))
		}
	}
	require.NoError(b, c.await("call.participant.joined"))
	_, err = c.toggle(b.Context()) // connections, prepared statements
	require.NoError(b, err)
	return c
}

func event(webhook []byte, name string) bool {
	return bytes.Contains(webhook, []byte(`"event":"`+name+`"`))
}

// toggle publishes a track, or takes it back, and tells how long it took until the stream said so.
func (c *watchedCall) toggle(ctx context.Context) (time.Duration, error) {
	name, then := "track_published", "call.track.published"
	if c.toggles%2 == 1 {
		name, then = "track_unpublished", "call.track.unpublished"
	}
	at := slices.IndexFunc(c.made, func(body []byte) bool { return event(body, name) })
	body := bytes.ReplaceAll(c.made[at], []byte(`"sid":"TR_`), fmt.Appendf(nil, `"sid":"TR_%d`, c.toggles/2))
	body = bytes.ReplaceAll(body, []byte(`"id":"EV_`), fmt.Appendf(nil, `"id":"EV_%d`, c.toggles))
	c.toggles++
	request, err := c.webhook(ctx, body)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := c.send(request); err != nil {
		return 0, err
	}
	c.answered = time.Since(began)
	err = c.await(then)
	return time.Since(began), err
}

func (c *watchedCall) webhook(ctx context.Context, body []byte) (*http.Request, error) {
	authorization, err := replay.Sign(c.s.LiveKit.APIKey, c.s.LiveKit.APISecret, body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.s.WebhookURL(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{"Content-Type": {"application/webhook+json"}, "Authorization": {authorization}}
	return request, nil
}

// send sends a webhook on the connection of the one before, as LiveKit does.
func (c *watchedCall) send(request *http.Request) error {
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("a webhook is answered %d: %s", response.StatusCode, said)
	}
	return err
}

// follow reads the session's stream until leave.
func (c *watchedCall) follow(b *testing.B, sessionID, user string) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.s.API.Base()+"/v1/call/sessions/"+sessionID+"/events", nil)
	require.NoError(b, err)
	request.Header = http.Header{"Accept": {"text/event-stream"}, "X-User-Id": {user}}
	response, err := c.client.Do(request)
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, response.StatusCode)
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if found, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				c.types <- found
			}
		}
	})
	c.leave = sync.OnceFunc(func() {
		cancel()
		reading.Wait()
		_ = response.Body.Close()
		c.client.CloseIdleConnections()
	})
	b.Cleanup(c.leave)
}

// await waits for an event of the type.
func (c *watchedCall) await(eventType string) error {
	late := time.NewTimer(stack.Patience)
	defer late.Stop()
	for {
		select {
		case found := <-c.types:
			if found == eventType {
				return nil
			}
		case <-late.C:
			return fmt.Errorf("%s does not come", eventType)
		}
	}
}

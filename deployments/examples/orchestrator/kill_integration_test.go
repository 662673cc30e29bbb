//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
)

const patience = 2 * time.Minute

// broker is a channel of the user, and the topology declared.
func broker(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

// program is the orchestrator as its own process.
type program struct {
	t      *testing.T
	binary string
	env    []string
	cmd    *exec.Cmd
}

func build(t *testing.T, env ...string) *program {
	t.Helper()
	p := &program{t: t, binary: filepath.Join(t.TempDir(), "orchestrator"), env: env}
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.binary, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	t.Cleanup(p.kill)
	return p
}

func (p *program) start() {
	p.cmd = exec.Command(p.binary) // kill ends it
	p.cmd.Env = p.env
	p.cmd.Stdout, p.cmd.Stderr = p.t.Output(), p.t.Output()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(p.t, p.cmd.Start())
}

func (p *program) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
	p.cmd = nil
}

// log is what a session's log does with events: each id once; the same id with other content is a conflict.
type log struct {
	content map[string]string
	order   map[string][]string // "type causeId" by session
	doubles int
}

func (l *log) take(t *testing.T, e events.Accepted) {
	t.Helper()
	if known, there := l.content[e.EventID]; there {
		assert.Equal(t, known, string(e.Raw), "the same id with other content")
		l.doubles++
		return
	}
	l.content[e.EventID] = string(e.Raw)
	l.order[e.SessionID] = append(l.order[e.SessionID], string(e.Type))
}

func TestKilledAtRandomItLosesAndDoublesNothing(t *testing.T) {
	const sessions, each, kills = 4, 60, 6
	vhost := testkit.Rabbit(t).Vhost(t)
	admin := broker(t, vhost.URL("admin"))
	require.NoError(t, admin.ExchangeDeclare(topology.EventsExchange, topology.KindTopic, true, false, false, false, nil))
	require.NoError(t, admin.ExchangeDeclare(topology.RingExchange, topology.KindFanout, false, false, true, false, nil)) // as the services do
	_, err := admin.QueueDeclare("answers", true, false, false, false, nil)
	require.NoError(t, err)
	require.NoError(t, admin.QueueBind("answers", "action.*", topology.EventsExchange, false, nil))
	api := newFakeAPI()
	server := httptest.NewServer(api)
	defer server.Close()

	p := build(t, "AMQP_URL="+vhost.URL(orchestrator), "API_URL="+server.URL, "API_DEV_USER=somebody")
	p.start()
	awaitQueue(t, vhost)
	var names []string
	for range sessions {
		names = append(names, uuid.Must(uuid.NewV7()).String())
	}
	var talking sync.WaitGroup
	talking.Go(func() { talk(t, vhost.URL(orchestrator), names, each) })
	got := &log{content: map[string]string{}, order: map[string][]string{}}
	for kill := range kills {
		require.Eventually(t, func() bool { drain(t, admin, got); return len(got.content) > kill*sessions*each/kills }, patience, time.Millisecond)
		p.kill()
		p.start()
	}
	talking.Wait()
	require.Eventually(t, func() bool { drain(t, admin, got); return len(got.content) == sessions*each }, patience, 10*time.Millisecond)
	// Nothing was acknowledged without its checkpoint, or one would be missing for ever. Acknowledged to the end nothing more can come.
	require.Eventually(t, func() bool {
		kept, all := api.counts()
		return kept == sessions && all == sessions*each
	}, patience, 50*time.Millisecond)
	require.Eventually(t, func() bool { return queued(t, vhost) == 0 }, patience, 50*time.Millisecond)
	p.kill()
	drain(t, admin, got)
	require.Len(t, got.content, sessions*each, "half of what was said has two answers")
	for _, name := range names {
		want := make([]string, 0, each)
		for range each / 2 {
			want = append(want, string(events.ActionProposed), string(events.ActionExecuted))
		}
		require.Equal(t, want, got.order[name])
	}
	t.Logf("killed %d times: %d answers, %d of them came twice", kills, len(got.content), got.doubles)
}

// talk publishes each session's transcript; every second utterance asks for a reminder.
func talk(t *testing.T, url string, sessions []string, each int) {
	ch := broker(t, url)
	assert.NoError(t, ch.Confirm(false))
	for n := range each {
		for _, session := range sessions {
			said := transcript(t, session, []string{"remind me of it", "good"}[n%2], int64(n+1))
			confirmation, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), topology.EventsExchange, string(events.TranscriptFinal), true, false,
				amqp.Publishing{
					MessageId: said.Envelope().EventID, UserId: orchestrator, DeliveryMode: amqp.Persistent,
					Headers: amqp.Table{topology.HeaderSessionID: session}, Body: said.JSON(),
				})
			if !assert.NoError(t, err) || !assert.True(t, confirmation.Wait()) {
				return
			}
		}
	}
}

// drain takes what was answered so far.
func drain(t *testing.T, ch *amqp.Channel, into *log) {
	t.Helper()
	for {
		d, ok, err := ch.Get("answers", true)
		require.NoError(t, err)
		if !ok {
			return
		}
		session, _ := d.Headers[topology.HeaderSessionID].(string)
		accepted, err := events.Accept(events.Delivery{
			Body: d.Body, RoutingKey: d.RoutingKey, MessageID: d.MessageId, UserID: d.UserId, SessionHeader: session,
		})
		require.NoError(t, err)
		into.take(t, accepted)
	}
}

// awaitQueue waits until the program has bound its queue: what is said before that is not for it.
func awaitQueue(t *testing.T, vhost *testkit.Vhost) {
	t.Helper()
	testkit.Eventually(t, patience, func(ctx context.Context) error {
		var bindings []struct{}
		path := "/api/queues/" + vhost.Name + "/" + queueName + "/bindings"
		if err := vhost.Broker.Management.Do(ctx, http.MethodGet, path, nil, &bindings); err != nil {
			return err
		}
		if len(bindings) < 1+len(followed) {
			return fmt.Errorf("%d bindings", len(bindings))
		}
		return nil
	})
}

// queued counts what waits or is in hand.
func queued(t *testing.T, vhost *testkit.Vhost) int {
	t.Helper()
	for _, q := range vhost.Queues(t) {
		if q.Name == queueName {
			return q.Messages
		}
	}
	t.Fatal("the program's queue is gone")
	return 0
}

// fakeAPI keeps checkpoints. It is away for the first request of each session, and its log is behind the broker by one request an event.
type fakeAPI struct {
	mu    sync.Mutex
	asked map[string]int    // by session and by event
	kept  map[string]string // the session's checkpoint, by path
	all   map[string]bool   // every event that was one
}

func newFakeAPI() *fakeAPI {
	return &fakeAPI{asked: map[string]int{}, kept: map[string]string{}, all: map[string]bool{}}
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var body struct{ EventID string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPut ||
		!strings.HasSuffix(r.URL.Path, "/checkpoints/"+consumerName) || r.Header.Get("X-User-Id") != "somebody" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.asked[r.URL.Path]++
	f.asked[body.EventID]++
	switch {
	case f.asked[r.URL.Path] == 1:
		w.WriteHeader(http.StatusServiceUnavailable)
	case f.asked[body.EventID] == 1:
		w.WriteHeader(http.StatusNotFound)
	default:
		f.kept[r.URL.Path] = body.EventID
		f.all[body.EventID] = true
	}
}

// counts gives how many sessions have a checkpoint, and how many events were one.
func (f *fakeAPI) counts() (sessions, all int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.kept), len(f.all)
}

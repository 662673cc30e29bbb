//go:build integration

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/replay"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	loadOwner    = "loaded"
	loadSessions = 104
	loadCalls    = 40 // of them have a call
	loadWriters  = 8
	loadSenders  = 4
	loadPace     = 25 * time.Millisecond // between what writers do, all together
	callPace     = 80 * time.Millisecond // between webhooks, all together
	loadCuts     = 60                    // of connections to the API, mostly within an answer
	brokerKills  = 3
	betweenKills = 100 // acknowledged writes, and as many while the broker is away
)

// loaded is a session under load. Of each kind one writer writes, and only goes on when what it wrote is acknowledged.
type loaded struct {
	sessionID string
	webhooks  replay.Recording // still to be sent
	changes   int              // acknowledged changes of metadata, each to the next number
	said      []string         // ids of acknowledged transcripts
}

// load is all of it.
type load struct {
	s        *stack.Stack
	api      *callplane.Client // over connections that are cut
	sessions []*loaded
	acked    atomic.Int64
	retried  atomic.Int64
	stop     chan struct{}
}

// TestBrokerKilledUnderLoad kills RabbitMQ again and again, while sessions are created, changed, spoken in and followed by webhooks, over
// connections that break too. In the end everything that was acknowledged is in its session's log once, in order, and was published with the
// same content at least once.
func TestBrokerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnRabbit(t)
	s := withoutReconciler(t, broker)
	l := newLoad(t, s)
	var loading errgroup.Group
	defer loading.Wait() //nolint:errcheck // Where the test has failed already.
	defer l.end()
	l.begin(t, &loading)
	for kill := range brokerKills {
		l.await(t)
		began := time.Now()
		broker.Kill(t)
		l.await(t)
		broker.Start(t)
		s.AwaitReady(t)
		t.Logf("kill %d: away or not ready for %s; %d writes are acknowledged", kill+1, time.Since(began).Round(time.Millisecond), l.acked.Load())
	}
	l.await(t)
	l.end()
	require.NoError(t, loading.Wait())
	l.drained(t)
	l.check(t)
	verified(t, s)
}

// withoutReconciler starts a stack whose bridge believes webhooks alone, so that calls can go on that LiveKit knows nothing of.
func withoutReconciler(t *testing.T, broker *testkit.Broker) *stack.Stack {
	t.Helper()
	s := stack.Prepare(t, broker)
	s.SetBridge(t, map[string]string{"RECONCILE_INTERVAL": "0"})
	s.Start(t)
	s.AwaitReady(t)
	return s
}

// newLoad creates the sessions, and has tokens issued to those who will be in calls.
func newLoad(t *testing.T, s *stack.Stack) *load {
	t.Helper()
	cutter := stack.NewCutter(t, s.API.Base()[len("http://"):], loadCuts, 30_000)
	api := callplane.NewVia(cutter.URL(), &http.Transport{MaxIdleConnsPerHost: loadWriters})
	t.Cleanup(api.Close)
	t.Cleanup(func() { t.Logf("%d connections to the API were cut", cutter.Made()) })
	l := &load{s: s, api: api, stop: make(chan struct{}), sessions: make([]*loaded, loadSessions)}
	var creating errgroup.Group
	creating.SetLimit(loadWriters)
	for i := range l.sessions {
		l.sessions[i] = &loaded{}
		creating.Go(func() error { return l.create(t.Context(), l.sessions[i], i) })
	}
	require.NoError(t, creating.Wait())
	for i, one := range l.sessions[:loadCalls] {
		recording, err := replay.Load("clean")
		require.NoError(t, err)
		room, identities := "", map[string]string{}
		for _, user := range []string{alice, bob} {
			token := s.Token(t, one.sessionID, user)
			room, identities[user] = token.RoomName, token.Identity
		}
		one.webhooks = recording.For(room, identities, unique()+strconv.Itoa(i))
	}
	return l
}

// create creates a session with a key, until it is acknowledged.
func (l *load) create(ctx context.Context, one *loaded, number int) error {
	return l.acknowledged(ctx, func(ctx context.Context) error {
		session, _, err := l.api.As(loadOwner).CreateOnce(ctx, "load-"+strconv.Itoa(number), callplane.NewSession{
			Members: []callplane.Member{{UserID: alice, Role: "participant"}, {UserID: bob, Role: "participant"}},
		})
		one.sessionID = session.SessionID
		return err
	})
}

// acknowledged repeats a request until it is answered as it should be. What the API refuses for good is an error.
func (l *load) acknowledged(ctx context.Context, request func(context.Context) error) error {
	for {
		err := request(ctx)
		if err == nil {
			l.acked.Add(1)
			return nil
		}
		var problem *callplane.Problem
		if errors.As(err, &problem) && !problem.Retryable || ctx.Err() != nil {
			return err
		}
		l.retried.Add(1)
	}
}

// begin has writers and senders go on until the end, each with sessions of its own.
func (l *load) begin(t *testing.T, loading *errgroup.Group) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ctx := t.Context()
	writes, webhooks := time.NewTicker(loadPace), time.NewTicker(callPace)
	t.Cleanup(writes.Stop)
	t.Cleanup(webhooks.Stop)
	for w := range loadWriters {
		random := rand.New(rand.NewPCG(seed, uint64(w)))
		loading.Go(func() error {
			for l.paced(writes.C) {
				one := l.sessions[w+loadWriters*random.IntN(loadSessions/loadWriters)]
				if err := l.write(ctx, one, random.IntN(2) == 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for w := range loadSenders {
		random := rand.New(rand.NewPCG(seed, uint64(loadWriters+w)))
		loading.Go(func() error {
			for l.paced(webhooks.C) {
				if err := l.send(ctx, l.sessions[w+loadSenders*random.IntN(loadCalls/loadSenders)]); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// paced waits for a turn, and tells whether the load goes on.
func (l *load) paced(turn <-chan time.Time) bool {
	select {
	case <-l.stop:
		return false
	case <-turn:
		return true
	}
}

// end ends the load; it may be called again.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
}

// await waits until so many writes more are acknowledged.
func (l *load) await(t *testing.T) {
	t.Helper()
	from := l.acked.Load()
	testkit.Eventually(t, 2*stack.Patience, func(context.Context) error {
		if n := l.acked.Load() - from; n < betweenKills {
			return fmt.Errorf("%d writes were acknowledged", n)
		}
		return nil
	})
}

// write changes a session or says something in it.
func (l *load) write(ctx context.Context, one *loaded, change bool) error {
	if change {
		err := l.acknowledged(ctx, func(ctx context.Context) error {
			_, err := l.api.As(loadOwner).Update(ctx, one.sessionID, "", map[string]any{"metadata": map[string]int{"change": one.changes + 1}})
			return err
		})
		if err == nil {
			one.changes++
		}
		return err
	}
	id, text := uuid.Must(uuid.NewV7()).String(), transcript("so it goes", len(one.said)+1)
	err := l.acknowledged(ctx, func(ctx context.Context) error {
		_, err := l.api.As("scribe", "call:events").PostOnce(ctx, one.sessionID, id, string(events.TranscriptFinal), text)
		return err
	})
	if err == nil {
		one.said = append(one.said, id)
	}
	return err
}

// send sends the next webhook of a call, until it is acknowledged.
func (l *load) send(ctx context.Context, one *loaded) error {
	if len(one.webhooks) == 0 {
		return nil
	}
	err := l.acknowledged(ctx, func(ctx context.Context) error { return sendAll(ctx, l.s, one.webhooks[:1]) })
	if err == nil {
		one.webhooks = one.webhooks[1:]
	}
	return err
}

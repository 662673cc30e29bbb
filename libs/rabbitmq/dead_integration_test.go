//go:build integration

package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// deadQueue looks after the dead queue of sessions.
func deadQueue(t testing.TB, url string) *DeadQueue {
	t.Helper()
	q, err := NewDeadQueue(Config{URL: config.Secret(url), Name: "operator"}, topology.SessionsEvents)
	require.NoError(t, err)
	return q
}

// parkAll has a consumer of the user sessions reject everything that is sent, and waits until all is parked.
func parkAll(t testing.TB, v *testkit.Vhost, publisher *Publisher, sent []Message) {
	t.Helper()
	c := start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "rejecting", publisher, func(context.Context, Delivery) error {
		return &Rejected{Reason: "schema", Detail: "payload.title: must be a string"}
	}))
	publishAll(t, publisher, sent)
	dead := topology.DeadQueue(topology.SessionsEvents)
	require.Eventually(t, func() bool { return depth(t, v, dead) == len(sent) }, patience, 20*time.Millisecond)
	c.stop()
	emptied(t, v, 1)
}

// received collects whole deliveries.
type received struct {
	mu  sync.Mutex
	all []Delivery
}

func (r *received) handle(_ context.Context, d Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, d)
	return nil
}

func (r *received) list() []Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

func ids(messages []Message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, m.ID)
	}
	return all
}

func parkedIDs(messages []ParkedMessage) []string {
	var all []string
	for _, m := range messages {
		all = append(all, m.ID)
	}
	return all
}

func TestLookingLeavesEverythingParked(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	sent := numbered("s", 0, 60)
	before := time.Now()
	parkAll(t, v, publisher, sent)
	q := deadQueue(t, v.URL("sessions"))
	for range 3 {
		list, more, err := q.List(t.Context(), 5)
		require.NoError(t, err)
		require.Equal(t, ids(sent[:5]), parkedIDs(list), "the oldest first")
		require.Equal(t, 55, more)
		require.Nil(t, list[0].Body)
		shown, err := q.Show(t.Context(), sent[9].ID)
		require.NoError(t, err)
		require.Len(t, shown, 1)
		require.Equal(t, "9", string(shown[0].Body))
		require.Equal(t, "s", shown[0].Headers[topology.HeaderSessionID])
	}
	all, more, err := q.List(t.Context(), 100)
	require.NoError(t, err)
	require.Zero(t, more)
	require.Equal(t, ids(sent), parkedIDs(all), "all there, in order")
	first := all[0]
	require.WithinRange(t, first.ParkedAt, before.Add(-time.Second), time.Now().Add(time.Second))
	require.Equal(t, []any{"schema", "payload.title: must be a string", eventType, "s", "sessions", topology.PartitionQueue(topology.SessionsEvents, 0), 0},
		[]any{first.Reason, first.Detail, first.Type, first.Session, first.Sender, first.Queue, first.Requeues})
	none, err := q.Show(t.Context(), "not-there")
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestOneOfManyIsPutBack(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	sent := numbered("s", 0, 8)
	parkAll(t, v, publisher, sent)
	q := deadQueue(t, v.URL("sessions"))
	var got received
	start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, got.handle))
	done, err := q.Requeue(t.Context(), func(m ParkedMessage) bool { return m.ID == sent[5].ID })
	require.NoError(t, err)
	require.Equal(t, Requeued{Count: 1}, done)
	require.Eventually(t, func() bool { return len(got.list()) == 1 }, patience, 10*time.Millisecond)
	d := got.list()[0]
	assert.Equal(t, []any{topology.EventsExchange, eventType, "sessions", sent[5].ID, "5", 1},
		[]any{d.Exchange, d.RoutingKey, d.UserID, d.MessageID, string(d.Body), d.Requeues}, "as it first came")
	assert.Equal(t, map[string]string{topology.HeaderSessionID: "s"}, d.Headers)
	left, _, err := q.List(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, slices.Concat(ids(sent[:5]), ids(sent[6:])), parkedIDs(left), "the others, in their order")
}

func TestAllArePutBackInOrder(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	parkAll(t, v, publisher, numbered("s", 0, 40))
	committed := newSeen()
	c := start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, committed.handle))
	done, err := deadQueue(t, v.URL("sessions")).Requeue(t.Context(), func(ParkedMessage) bool { return true })
	require.NoError(t, err)
	require.Equal(t, Requeued{Count: 40}, done)
	require.Eventually(t, func() bool { return committed.count() == 40 }, patience, 10*time.Millisecond)
	c.stop()
	assert.Equal(t, numbers(0, 40), committed.of("s"))
	assert.Zero(t, depth(t, v, topology.DeadQueue(topology.SessionsEvents)))
}

// A crash after the broker has confirmed a message and before it left the dead queue: it is in both, so it comes twice and none is lost.
func TestACrashWhilePuttingBackRepeatsOneMessageAtMost(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	const total, crashAt = 10, 4
	parkAll(t, v, publisher, numbered("s", 0, total))
	crashing := deadQueue(t, v.URL("sessions"))
	acked := 0
	crashing.ack = func(d amqp.Delivery) error {
		if acked == crashAt {
			return errors.New("crashed")
		}
		acked++
		return d.Ack(false)
	}
	all := func(ParkedMessage) bool { return true }
	done, err := crashing.Requeue(t.Context(), all)
	require.ErrorContains(t, err, "crashed")
	require.Equal(t, crashAt, done.Count)
	dead := topology.DeadQueue(topology.SessionsEvents)
	require.Eventually(t, func() bool { return depth(t, v, dead) == total-crashAt }, patience, 10*time.Millisecond)

	done, err = deadQueue(t, v.URL("sessions")).Requeue(t.Context(), all)
	require.NoError(t, err)
	require.Equal(t, total-crashAt, done.Count)
	committed := newSeen()
	c := start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, committed.handle))
	require.Eventually(t, func() bool { return committed.count() == total+1 }, patience, 10*time.Millisecond)
	c.stop()
	emptied(t, v, 1)
	assert.Equal(t, slices.Concat(numbers(0, crashAt+1), numbers(crashAt, total)), committed.of("s"))
	assert.Equal(t, numbers(0, total), firsts(committed.of("s")))
}

// What is still bad is parked again, and tells how often it was put back.
func TestWhatIsStillBadIsParkedAgain(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	sent := numbered("s", 0, 3)
	parkAll(t, v, publisher, sent)
	q := deadQueue(t, v.URL("sessions"))
	start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, func(context.Context, Delivery) error {
		return &Rejected{Reason: "schema", Detail: "still"}
	}))
	for round := 1; round <= 3; round++ {
		done, err := q.Requeue(t.Context(), func(ParkedMessage) bool { return true })
		require.NoError(t, err)
		require.Equal(t, 3, done.Count, "each once a round, also those that came back meanwhile")
		testkit.Eventually(t, patience, func(ctx context.Context) error {
			list, _, err := q.List(ctx, 10)
			if err != nil {
				return err
			}
			if len(list) != 3 || !slices.Equal(ids(sent), parkedIDs(list)) {
				return fmt.Errorf("%v are parked", parkedIDs(list))
			}
			for _, m := range list {
				if m.Requeues != round || m.Sender != "sessions" || m.Type != eventType {
					return fmt.Errorf("after %d rounds: %+v", round, m)
				}
			}
			return nil
		})
	}
}

// What the broker gave up on carries its own account of why, and is put back likewise.
func TestWhatTheBrokerGaveUpOnIsPutBack(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	sent := numbered("s", 0, 1)
	publishAll(t, publisher, sent)
	conn := adminConnection(t, v)
	queue := topology.PartitionQueue(topology.SessionsEvents, 0)
	q := deadQueue(t, v.URL("sessions"))
	// giveUp crashes consumers until the broker has had enough.
	giveUp := func() ParkedMessage {
		for depth(t, v, topology.DeadQueue(topology.SessionsEvents)) == 0 {
			ch := newChannel(t, conn)
			got, err := ch.Consume(queue, "", false, false, false, false, nil)
			require.NoError(t, err)
			select {
			case <-got: // a consumer that ends with the message unacknowledged has crashed
			case <-time.After(100 * time.Millisecond): // it is on its way to the dead queue
			}
			require.NoError(t, ch.Close())
		}
		parked, _, err := q.List(t.Context(), 10)
		require.NoError(t, err)
		require.Len(t, parked, 1)
		return parked[0]
	}
	for round := range 2 {
		m := giveUp()
		assert.Equal(t, []any{sent[0].ID, "delivery_limit", eventType, "s", "sessions", queue, round},
			[]any{m.ID, m.Reason, m.Type, m.Session, m.Sender, m.Queue, m.Requeues})
		assert.WithinRange(t, m.ParkedAt, time.Now().Add(-time.Minute), time.Now().Add(time.Minute))
		done, err := q.Requeue(t.Context(), func(ParkedMessage) bool { return true })
		require.NoError(t, err)
		require.Equal(t, Requeued{Count: 1}, done)
	}
	var got received
	start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, got.handle))
	require.Eventually(t, func() bool { return len(got.list()) == 1 }, patience, 10*time.Millisecond)
	d := got.list()[0]
	assert.Equal(t, []any{eventType, "sessions", sent[0].ID, "0", 2}, []any{d.RoutingKey, d.UserID, d.MessageID, string(d.Body), d.Requeues})
}

// Nobody but the service itself puts messages into its partitions in another's name.
func TestOnlyTheServiceItselfPutsBack(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	committed := newSeen()
	start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, committed.handle))
	other := connector(t, config.Secret(v.URL("bridge")), "forger")
	forger := NewPublisher(other, "test")
	connected(t, start(t, other))
	require.Eventually(t, func() bool { return forger.current.Load() != nil }, patience, 10*time.Millisecond)
	require.NoError(t, forger.Publish(testkit.Context(t, patience), Message{
		Exchange: topology.RequeueExchange, Key: topology.PartitionQueue(topology.SessionsEvents, 0), ID: "m", Body: []byte("{}"),
		Headers: map[string]string{
			topology.HeaderSessionID: "s", HeaderOriginalUserID: "sessions", HeaderOriginalRoutingKey: eventType,
			HeaderOriginalExchange: topology.EventsExchange,
		},
	}))
	q := deadQueue(t, v.URL("sessions"))
	testkit.Eventually(t, patience, func(ctx context.Context) error {
		list, _, err := q.List(ctx, 10)
		if err == nil && (len(list) != 1 || list[0].Reason != "forbidden_producer" || list[0].Sender != "bridge") {
			err = fmt.Errorf("parked are %+v", list)
		}
		return err
	})
	assert.Zero(t, committed.count())
}

func TestProblemsOfTheDeadQueueAreToldPlainly(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	_, _, err := deadQueue(t, v.URL("sessions")).List(t.Context(), 1)
	require.ErrorContains(t, err, "a service makes it at its first start")

	publisher := sender(t, v, 1)
	queue := topology.DeadQueue(topology.SessionsEvents)
	lost := numbered("s", 0, 1)[0]
	lost.Exchange, lost.Key = topology.DeadExchange, queue
	gone := deadMessage(topology.SessionsEvents, Delivery{
		MessageID: "gone", Exchange: topology.EventsExchange, RoutingKey: eventType, UserID: "sessions", Partition: 7, Body: []byte("{}"),
	}, &Rejected{Reason: "schema"}, time.Now())
	publishAll(t, publisher, []Message{lost, gone})
	done, err := deadQueue(t, v.URL("sessions")).Requeue(t.Context(), func(ParkedMessage) bool { return true })
	require.NoError(t, err)
	assert.Equal(t, Requeued{Left: []LeftParked{
		{lost.ID, "it does not say which partition it came through"},
		{"gone", "the broker has no queue " + topology.PartitionQueue(topology.SessionsEvents, 7)},
	}}, done)
	require.Eventually(t, func() bool { return depth(t, v, queue) == 2 }, patience, 10*time.Millisecond, "both are still parked")
}

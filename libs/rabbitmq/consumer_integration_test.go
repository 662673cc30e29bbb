//go:build integration

package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// A cut while the prefetch is full: the message in hand is dropped unacknowledged, nothing that was only buffered is acknowledged, and
// all of it comes again, in order.
func TestACutWithTheFullPrefetchInHandLosesNothing(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	link, url := newProxy(t, v.URL("sessions"))
	const total, cutAt = 200, 5
	var (
		committed = newSeen()
		inHand    = make(chan struct{})
		dropped   = make(chan error, 1)
		once      sync.Once
	)
	c := start(t, consumer(t, url, 1, "a", publisher, func(ctx context.Context, d Delivery) error {
		if string(d.Body) == fmt.Sprint(cutAt) {
			first := false
			once.Do(func() { first = true })
			if first {
				close(inHand)
				<-ctx.Done()
				dropped <- context.Cause(ctx)
				return ctx.Err()
			}
		}
		committed.add(d)
		return nil
	}))
	publishAll(t, publisher, numbered("s", 0, total))
	<-inHand
	// The broker has sent as much ahead as it may.
	require.Eventually(t, func() bool {
		return depth(t, v, topology.PartitionQueue(topology.SessionsEvents, 0)) == total-cutAt-10
	}, patience, 50*time.Millisecond, "the prefetch isn't full")
	link.Cut()
	cause := <-dropped
	var lost *lostError
	require.ErrorAs(t, cause, &lost, "the handler learns that its connection is gone")
	require.Eventually(t, func() bool { return committed.count() >= total }, patience, 10*time.Millisecond)
	c.stop()
	assert.Equal(t, numbers(0, total), firsts(committed.of("s")), "all, in order")
	assert.LessOrEqual(t, committed.count(), total+1, "only an acknowledgement that the cut took may make one come twice")
	emptied(t, v, 1)
}

// The same, cut again and again at no particular moment, under load and by the broker itself.
func TestCutsAtAnyMomentLoseNothing(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 4)
	link, url := newProxy(t, v.URL("sessions"))
	const sessions, each = 8, 150
	committed := newSeen()
	c := start(t, consumer(t, url, 4, "a", publisher, committed.handle))
	connected(t, c)
	var publishing sync.WaitGroup
	for s := range sessions {
		publishing.Go(func() {
			for from := 0; from < each; from += 10 {
				for _, err := range publisher.PublishBatch(t.Context(), numbered(fmt.Sprint("s", s), from, from+10)) {
					assert.NoError(t, err)
				}
			}
		})
	}
	for cut := range 5 {
		require.Eventually(t, func() bool { return committed.count() > cut*sessions*each/8 }, patience, time.Millisecond)
		link.Cut()
	}
	publishing.Wait()
	require.Eventually(t, func() bool {
		for s := range sessions {
			if len(firsts(committed.of(fmt.Sprint("s", s)))) < each {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond, "messages are lost")
	c.stop()
	for s := range sessions {
		assert.Equal(t, numbers(0, each), firsts(committed.of(fmt.Sprint("s", s))), "in order")
	}
	emptied(t, v, 4)
}

func TestARejectedMessageIsParkedBeforeItIsAcknowledged(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	dead := &failingPublisher{real: publisher}
	dead.failures.Store(3)
	committed := newSeen()
	c := start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", dead, func(ctx context.Context, d Delivery) error {
		if string(d.Body) == "1" {
			return fmt.Errorf("take the event in: %w", &Rejected{Reason: "unknown_type", Detail: "type call.strange is not in the catalogue"})
		}
		return committed.handle(ctx, d)
	}))
	sent := numbered("s", 0, 4)
	publishAll(t, publisher, sent)
	require.Eventually(t, func() bool { return committed.count() == 3 }, patience, 10*time.Millisecond)
	c.stop()
	assert.Equal(t, []string{"0", "2", "3"}, committed.of("s"), "the partition waited until the dead exchange had the message, then went on")
	assert.Equal(t, int32(-1), dead.failures.Load(), "parking was tried until it was confirmed")
	emptied(t, v, 1)

	ch := adminChannel(t, v)
	parked, ok, err := ch.Get(topology.DeadQueue(topology.SessionsEvents), true)
	require.NoError(t, err)
	require.True(t, ok)
	parkedAt, _ := parked.Headers[HeaderParkedAt].(string)
	_, err = time.Parse(time.RFC3339Nano, parkedAt)
	require.NoError(t, err)
	delete(parked.Headers, HeaderParkedAt)
	assert.Equal(t, amqp.Table{
		"session-id": "s", HeaderReason: "unknown_type", HeaderDetail: "type call.strange is not in the catalogue",
		HeaderOriginalExchange: "call.events", HeaderOriginalRoutingKey: eventType, HeaderOriginalUserID: "sessions",
		HeaderOriginalQueue: topology.PartitionQueue(topology.SessionsEvents, 0),
	}, parked.Headers)
	assert.Equal(t, "1", string(parked.Body))
	assert.Equal(t, sent[1].ID, parked.MessageId)
	assert.Equal(t, amqp.Persistent, parked.DeliveryMode)
	_, more, err := ch.Get(topology.DeadQueue(topology.SessionsEvents), true)
	require.NoError(t, err)
	assert.False(t, more, "once")
}

// failingPublisher can't reach the broker at first.
type failingPublisher struct {
	real     BatchPublisher
	failures atomic.Int32
}

func (f *failingPublisher) PublishBatch(ctx context.Context, m []Message) []error {
	if f.failures.Add(-1) >= 0 {
		return []error{ErrUnavailable}
	}
	return f.real.PublishBatch(ctx, m)
}

func TestAFailureIsRetriedInPlaceWhileThePartitionWaits(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	committed := newSeen()
	var attempts atomic.Int32
	c := start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, func(ctx context.Context, d Delivery) error {
		if string(d.Body) == "1" && attempts.Add(1) <= 3 {
			assert.False(t, d.Redelivered, "it never went back to the queue")
			assert.Equal(t, 1, committed.count(), "nothing overtakes it")
			return errors.New("the database is away")
		}
		return committed.handle(ctx, d)
	}))
	publishAll(t, publisher, numbered("s", 0, 5))
	require.Eventually(t, func() bool { return committed.count() == 5 }, patience, 10*time.Millisecond)
	c.stop()
	assert.Equal(t, numbers(0, 5), committed.of("s"))
	assert.Equal(t, int32(4), attempts.Load())
	emptied(t, v, 1)
	assert.Zero(t, depth(t, v, topology.DeadQueue(topology.SessionsEvents)))
}

func TestStoppingFinishesWhatIsInHandAndLeavesTheRest(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	committed := newSeen()
	inHand, goOn := make(chan struct{}), make(chan struct{})
	c := start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "a", publisher, func(ctx context.Context, d Delivery) error {
		if committed.count() == 2 {
			close(inHand)
			<-goOn
			assert.NoError(t, ctx.Err(), "it may finish")
		}
		return committed.handle(ctx, d)
	}))
	publishAll(t, publisher, numbered("s", 0, 20))
	<-inHand
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.stop()
	}()
	select {
	case <-stopped:
		t.Error("it stopped with a message in hand")
	case <-time.After(100 * time.Millisecond):
	}
	close(goOn)
	<-stopped
	assert.Equal(t, numbers(0, 3), committed.of("s"))
	require.Eventually(t, func() bool {
		return depth(t, v, topology.PartitionQueue(topology.SessionsEvents, 0)) == 17
	}, patience, 20*time.Millisecond, "what was in hand is acknowledged, the rest is back")
	rest := newSeen()
	start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "b", publisher, rest.handle))
	require.Eventually(t, func() bool { return rest.count() == 17 }, patience, 10*time.Millisecond)
	assert.Equal(t, numbers(3, 20), rest.of("s"))
}

// A handler that doesn't come to an end is told to after the drain time, and its message stays.
func TestStoppingDoesNotWaitForEver(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	c := connector(t, config.Secret(v.URL("sessions")), "consumer")
	inHand := make(chan struct{})
	NewConsumer(c, ConsumerConfig{
		Exchange: topology.SessionsEvents, Partitions: 1, Replica: "a", Dead: publisher, Drain: 50 * time.Millisecond,
	}, func(ctx context.Context, _ Delivery) error {
		close(inHand)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	r := start(t, c)
	publishAll(t, publisher, numbered("s", 0, 1))
	<-inHand
	r.stop()
	require.NoError(t, <-r.err)
	require.Eventually(t, func() bool {
		return depth(t, v, topology.PartitionQueue(topology.SessionsEvents, 0)) == 1
	}, patience, 20*time.Millisecond)
}

// Replicas that come and go: each partition is always with the replica of the highest priority among those that run, every message is
// handled, and those of a session in order, also while partitions move.
func TestReplicasShareThePartitionsByPriority(t *testing.T) {
	const partitions, sessions = 8, 24
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, partitions)
	url := config.Secret(v.URL("sessions"))
	committed := newSeen()
	var owners sync.Map // partition to replica that handled a message of it last
	replica := func(name string) *running {
		return start(t, consumer(t, url, partitions, name, publisher, func(ctx context.Context, d Delivery) error {
			owners.Store(d.Partition, name)
			return committed.handle(ctx, d)
		}))
	}
	sent := 0
	settles := func(replicas ...string) {
		t.Helper()
		require.Eventually(t, func() bool {
			for s := range sessions {
				publishAll(t, publisher, numbered(fmt.Sprint("s", s), sent, sent+1))
			}
			sent++
			right := 0
			for p := range partitions {
				best := replicas[0]
				for _, r := range replicas {
					if priority(r, p) > priority(best, p) {
						best = r
					}
				}
				if owner, ok := owners.Load(p); ok && owner == best {
					right++
				}
			}
			return right == partitions
		}, patience, 20*time.Millisecond, "the partitions do not come to rest with %v", replicas)
	}
	a := replica("replica-1")
	settles("replica-1")
	replica("replica-2")
	settles("replica-1", "replica-2")
	replica("replica-3")
	settles("replica-1", "replica-2", "replica-3")
	a.stop()
	settles("replica-2", "replica-3")
	require.Eventually(t, func() bool { return committed.count() >= sent*sessions }, patience, 10*time.Millisecond)
	for s := range sessions {
		assert.Equal(t, numbers(0, sent), committed.of(fmt.Sprint("s", s)), "each once, in order: nothing was cut")
	}
}

// A crashed replica (its connection is gone with messages in hand) hands over what it held, in order.
func TestACrashedReplicasMessagesGoToAnother(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	link, url := newProxy(t, v.URL("sessions"))
	held := make(chan struct{})
	crashing := start(t, consumer(t, url, 1, "a", publisher, func(ctx context.Context, _ Delivery) error {
		select {
		case <-held:
		default:
			close(held)
		}
		<-ctx.Done()
		return ctx.Err()
	}))
	publishAll(t, publisher, numbered("s", 0, 30))
	<-held
	committed := newSeen()
	other := start(t, consumer(t, config.Secret(v.URL("sessions")), 1, "b", publisher, committed.handle))
	connected(t, other)
	link.Down()
	require.Eventually(t, func() bool { return committed.count() == 30 }, patience, 10*time.Millisecond)
	assert.Equal(t, numbers(0, 30), committed.of("s"))
	crashing.stop()
}

// The broker cancels the consumers of a queue that goes away; dialling anew declares it again.
func TestADeletedPartitionIsDeclaredAgain(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 2)
	committed := newSeen()
	connected(t, start(t, consumer(t, config.Secret(v.URL("sessions")), 2, "a", publisher, committed.handle)))
	ch := adminChannel(t, v)
	_, err := ch.QueueDelete(topology.PartitionQueue(topology.SessionsEvents, 1), false, false, false)
	require.NoError(t, err)
	queue := topology.PartitionQueue(topology.SessionsEvents, 1)
	require.Eventually(t, func() bool { return consumersOf(t, v, queue) == 1 }, patience, 20*time.Millisecond)
	const sessions = 40 // enough for both partitions
	for s := range sessions {
		publishAll(t, publisher, numbered(fmt.Sprint("s", s), 0, 1))
	}
	require.Eventually(t, func() bool { return committed.count() == sessions }, patience, 10*time.Millisecond)
}

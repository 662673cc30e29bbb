//go:build integration

package rabbitmq

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// byPriority names two replicas, the second of which is the better one for the only partition.
func byPriority() (worse, better string) {
	if priority("a", 0) < priority("b", 0) {
		return "a", "b"
	}
	return "b", "a"
}

// registered waits until the broker lists a replica among the consumers of a queue.
func registered(t *testing.T, v *testkit.Vhost, queue, replica string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var consumers []struct {
			Tag   string `json:"consumer_tag"`
			Queue struct{ Name string }
		}
		v.Broker.Management.Get(t, "/api/consumers/"+v.Name, &consumers)
		for _, c := range consumers {
			if c.Tag == replica && c.Queue.Name == queue {
				return true
			}
		}
		return false
	}, patience, 50*time.Millisecond, "the better replica is not there")
}

// A partition that moves to a better replica while the prefetch is full: the new one gets nothing before the old one has acknowledged what it
// holds, and goes on behind it.
func TestAHandOverWaitsForWhatIsInFlight(t *testing.T) {
	const total, prefetch = 60, 10
	v := testkit.Rabbit(t).Vhost(t)
	publisher, url := sender(t, v, 1), config.Secret(v.URL("sessions"))
	worse, better := byPriority()
	queue := topology.PartitionQueue(topology.SessionsEvents, 0)
	inHand, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	byOld, byNew, all := newSeen(), newSeen(), newSeen()
	start(t, consumer(t, url, 1, worse, publisher, func(_ context.Context, d Delivery) error {
		once.Do(func() {
			close(inHand)
			<-goOn
		})
		byOld.add(d)
		all.add(d)
		return nil
	}))
	publishAll(t, publisher, numbered("s", 0, total))
	<-inHand
	require.Eventually(t, func() bool { return depth(t, v, queue) == total-prefetch }, patience, 20*time.Millisecond, "the prefetch isn't full")
	start(t, consumer(t, url, 1, better, publisher, func(_ context.Context, d Delivery) error {
		byNew.add(d)
		all.add(d)
		return nil
	}))
	registered(t, v, queue, better)
	assert.Zero(t, byNew.count())
	assert.Equal(t, total-prefetch, depth(t, v, queue), "neither gets more meanwhile")
	close(goOn)
	require.Eventually(t, func() bool { return all.count() == total }, patience, 10*time.Millisecond)
	assert.Equal(t, numbers(0, total), all.of("s"), "each once, in order")
	assert.Equal(t, numbers(0, prefetch), byOld.of("s"))
	assert.Equal(t, numbers(prefetch, total), byNew.of("s"))
	emptied(t, v, 1)
}

// The same, but the old replica loses its connection before it has acknowledged: what it held comes to the new one, in order, before the rest.
func TestAHandOverThatIsCutBringsWhatWasInFlightAgain(t *testing.T) {
	const total, prefetch, handled = 60, 10, 4
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	link, url := newProxy(t, v.URL("sessions"))
	worse, better := byPriority()
	queue := topology.PartitionQueue(topology.SessionsEvents, 0)
	inHand := make(chan struct{})
	byOld, byNew := newSeen(), newSeen()
	old := start(t, consumer(t, url, 1, worse, publisher, func(ctx context.Context, d Delivery) error {
		if byOld.count() == handled {
			close(inHand)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		byOld.add(d)
		return nil
	}))
	publishAll(t, publisher, numbered("s", 0, total))
	<-inHand
	require.Eventually(t, func() bool { return depth(t, v, queue) == total-prefetch-handled }, patience, 20*time.Millisecond, "the prefetch isn't full")
	start(t, consumer(t, config.Secret(v.URL("sessions")), 1, better, publisher, func(_ context.Context, d Delivery) error {
		byNew.add(d)
		return nil
	}))
	registered(t, v, queue, better)
	assert.Zero(t, byNew.count())
	link.Down()
	require.Eventually(t, func() bool { return byNew.count() == total-handled }, patience, 10*time.Millisecond)
	assert.Equal(t, numbers(0, handled), byOld.of("s"))
	assert.Equal(t, numbers(handled, total), byNew.of("s"), "in order, and nothing that was acknowledged")
	old.stop()
}

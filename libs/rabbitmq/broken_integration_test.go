//go:build integration

package rabbitmq

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// raft has the broker do something with what keeps a partition's queue, which can be stopped as it is after its files were damaged.
func raft(t testing.TB, v *testkit.Vhost, what string, partition int) {
	t.Helper()
	queue := topology.PartitionQueue(topology.SessionsEvents, partition)
	v.Broker.Exec(t, "rabbitmqctl", "eval", fmt.Sprintf(
		`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)), ok = ra:%s(quorum_queues, amqqueue:get_pid(Q)).`, v.Name, queue, what))
}

// sessionsOf returns a session for each partition, of which one message is published.
func sessionsOf(t testing.TB, v *testkit.Vhost, p *Publisher, partitions int) []string {
	t.Helper()
	var sessions []string
	for n := range partitions {
		queue := topology.PartitionQueue(topology.SessionsEvents, n)
		before := depth(t, v, queue)
		for i := 0; len(sessions) == n; i++ {
			require.Less(t, i, 100, "no session goes to partition %d", n)
			name := fmt.Sprintf("s%d-%d", n, i)
			publishAll(t, p, numbered(name, 0, 1))
			if depth(t, v, queue) > before {
				sessions = append(sessions, name)
			}
		}
	}
	return sessions
}

// came tells whether this is the last that was handled of a session.
func (s *seen) came(session string, last int) func() bool {
	return func() bool {
		got := s.of(session)
		return len(got) > 0 && got[len(got)-1] == fmt.Sprint(last)
	}
}

// The broker closes the connection of who consumes a queue that it can't serve. The other partitions go on, and that one does when it can.
func TestAQueueThatIsDownStopsNoOther(t *testing.T) {
	const partitions = 4
	broker := testkit.OwnRabbit(t)
	v := broker.Vhost(t)
	publisher := sender(t, v, partitions)
	sessions := sessionsOf(t, v, publisher, partitions)
	raft(t, v, "stop_server", 1)
	raft(t, v, "stop_server", 2)
	seen := newSeen()
	c := connector(t, config.Secret(v.URL("sessions")), "consumer")
	DeclareOn(c, topology.Shared(partitions))
	consumer := NewConsumer(c, ConsumerConfig{Exchange: topology.SessionsEvents, Partitions: partitions, Replica: "a", Dead: publisher}, seen.handle)
	start(t, c)
	require.Eventually(t, func() bool {
		consumer.broken.mu.Lock()
		defer consumer.broken.mu.Unlock()
		return len(consumer.broken.apart) == 2 && !consumer.broken.suspect // both are found, and the connection after that stands
	}, patience, 10*time.Millisecond)
	require.ErrorContains(t, c.Check(), "can't serve: 2")

	connections := c.cfg.Metrics.connections.WithLabelValues(c.cfg.Name)
	before := testutil.ToFloat64(connections)
	for _, n := range []int{0, 3} {
		publishAll(t, publisher, numbered(sessions[n], 1, 50))
		require.Eventually(t, seen.came(sessions[n], 49), patience, 10*time.Millisecond, "partition %d", n)
		// The first message was there before the connection that stands: one that the broker closes
		// before the acknowledgement arrives has it delivered again.
		bodies := seen.of(sessions[n])
		began := slices.Index(bodies, "1")
		require.Positive(t, began)
		assert.Equal(t, numbers(0, 1), slices.Compact(bodies[:began]))
		assert.Equal(t, numbers(1, 50), bodies[began:])
	}
	raft(t, v, "restart_server", 1)
	require.Eventually(t, seen.came(sessions[1], 0), patience, 10*time.Millisecond, "partition 1 goes on")
	assert.Empty(t, seen.of(sessions[2]))
	assert.InDelta(t, before, testutil.ToFloat64(connections), 0, "nobody lost the connection meanwhile")

	// One that is deleted is declared again, and who has published to it before can do so again: the broker never answers on the old channel.
	_, err := adminChannel(t, v).QueueDelete(topology.PartitionQueue(topology.SessionsEvents, 2), false, false, false)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.Check() == nil }, patience, 10*time.Millisecond)
	for n, session := range sessions {
		require.Eventually(t, func() bool {
			return publisher.Publish(t.Context(), numbered(session, 60, 61)[0]) == nil
		}, 2*patience, 10*time.Millisecond, "partition %d", n)
		require.Eventually(t, seen.came(session, 60), patience, 10*time.Millisecond, "partition %d", n)
	}
}

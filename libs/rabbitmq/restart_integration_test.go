//go:build integration

package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// ways notes through which partition each session's messages came.
type ways struct {
	mu         sync.Mutex
	partitions map[string][]int
}

func (w *ways) handle(_ context.Context, d Delivery) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	session := d.Headers[topology.HeaderSessionID]
	w.partitions[session] = append(w.partitions[session], d.Partition)
	return nil
}

// changed counts the sessions of which so many messages came, and those of them that came through several partitions.
func (w *ways) changed(messages int) (sessions, changed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, partitions := range w.partitions {
		if len(partitions) < messages {
			continue
		}
		sessions++
		for _, p := range partitions {
			if p != partitions[0] {
				changed++
				break
			}
		}
	}
	return sessions, changed
}

// A session's messages come through one partition, however the broker ended in between: those before and after wait in one queue, so their order
// is kept.
func TestASessionKeepsItsPartitionOverRestartsOfTheBroker(t *testing.T) {
	const sessions = 200
	broker := testkit.OwnRabbit(t)
	for _, partitions := range []int{topology.DefaultPartitions, 24} {
		v := broker.Vhost(t)
		publisher := sender(t, v, partitions)
		seen := &ways{partitions: map[string][]int{}}
		start(t, consumer(t, config.Secret(v.URL("sessions")), partitions, "a", publisher, seen.handle))
		// The kill comes last: a broker that is killed within half a second of a quorum queue's declaration may have forgotten under which name it
		// keeps the queue (Raft's directory of names is written that often), and the queue then never has a leader again.
		for round, end := range []func(testing.TB){func(testing.TB) {}, broker.Stop, broker.Kill} {
			if end(t); round > 0 {
				broker.Start(t)
			}
			for s := range sessions {
				message := numbered(fmt.Sprint("s", s), round, round+1)[0]
				require.Eventually(t, func() bool {
					return publisher.Publish(t.Context(), message) == nil
				}, 2*patience, 10*time.Millisecond, "nothing is confirmed")
			}
			require.Eventually(t, func() bool {
				came, _ := seen.changed(round + 1)
				return came == sessions
			}, patience, 20*time.Millisecond, "messages are lost")
			_, changed := seen.changed(round + 1)
			require.Zero(t, changed, "of %d partitions, after %d ends", partitions, round)
		}
	}
}

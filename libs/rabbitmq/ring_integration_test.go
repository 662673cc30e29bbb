//go:build integration

package rabbitmq

import (
	"context"
	"net/url"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// After a start of the broker every connection of every replica declares at once, and one of them puts the rings in order by binding anew. A
// broker that is asked to bind a queue while it unbinds it for another connection may keep the binding and lose the queue from the ring, and most
// sessions would then change their partition. So who does not have the lock binds nothing before the rings are in order.
func TestNobodyBindsWhileAnotherPutsTheRingsInOrder(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	shared := topology.Shared(topology.DefaultPartitions)
	require.NoError(t, Declare(t.Context(), adminConnection(t, v), shared))
	// One that stands still in the middle of it.
	orderer := adminChannel(t, v)
	unbound := topology.PartitionQueue(topology.SessionsEvents, 3)
	require.NoError(t, orderer.ExchangeDelete(topology.RingExchange, false, false))
	_, err := orderer.QueueDeclare(topology.RingExchange, false, false, true, false, nil)
	require.NoError(t, err)
	require.NoError(t, orderer.QueueUnbind(unbound, "1", topology.SessionsEvents, nil))

	require.ErrorIs(t, Declare(testkit.Context(t, 3*time.Second), adminConnection(t, v), shared), context.DeadlineExceeded, "it does not wait")
	require.NotContains(t, bound(t, v), unbound)

	// It is gone, so another one does it all.
	_, err = orderer.QueueDelete(topology.RingExchange, false, false, false)
	require.NoError(t, err)
	require.NoError(t, Declare(testkit.Context(t, patience), adminConnection(t, v), shared))
	require.Contains(t, bound(t, v), unbound)
}

// bound lists the queues that are bound to the hash exchange of sessions.
func bound(t *testing.T, v *testkit.Vhost) []string {
	t.Helper()
	var bindings []struct {
		Destination string `json:"destination"`
	}
	v.Broker.Management.Get(t, "/api/exchanges/"+url.PathEscape(v.Name)+"/"+topology.SessionsEvents+"/bindings/source", &bindings)
	queues := make([]string, 0, len(bindings))
	for _, b := range bindings {
		queues = append(queues, b.Destination)
	}
	return queues
}

// A program that declares nothing publishes only when the partitions are in order, however early it is connected.
func TestOtherProgramsWaitForTheOrderOfPartitions(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	early := connector(t, config.Secret(v.URL("orchestrator")), "orchestrator")
	AwaitPartitionsOn(early)
	ordered := make(chan bool, 1)
	early.Each(func(_ context.Context, conn *amqp.Connection) error {
		there, err := ringsOrdered(conn)
		ordered <- there
		return err
	})
	start(t, early)
	require.Eventually(t, func() bool { return early.ServerVersion() != "" }, patience, 10*time.Millisecond, "no connection")
	sender(t, v, topology.DefaultPartitions)
	select {
	case there := <-ordered:
		require.True(t, there, "it is let through before the partitions are in order")
	case <-time.After(patience):
		require.Fail(t, "it waits for good")
	}
}

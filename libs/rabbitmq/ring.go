package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
)

// ringPause is how long a connection waits before it looks again whether another one has put the rings in order.
const ringPause = 50 * time.Millisecond

// ringBindings are the bindings of consistent-hash exchanges with several queues, in the order that their rings are to have.
func ringBindings(t topology.Topology) []topology.Binding {
	bindings := map[string][]topology.Binding{}
	for _, b := range t.Bindings {
		bindings[b.Source] = append(bindings[b.Source], b)
	}
	var all []topology.Binding
	for _, e := range t.Exchanges {
		if e.Kind == topology.KindConsistentHash && len(bindings[e.Name]) > 1 {
			all = append(all, bindings[e.Name]...)
		}
	}
	return all
}

// orderRings binds the queues of consistent-hash exchanges anew, in order, once after each start of the broker. A broker with Mnesia forgets
// the order of a ring's queues and fills the ring in whichever order it recovers bindings, so that most keys would be led to another queue,
// past what still waits in their own. The marker, an exchange that goes with the broker, tells that it is done; before that nothing is
// published or consumed on this connection. One connection does it, the others wait. At any moment all queues but one are bound.
func orderRings(ctx context.Context, conn *amqp.Connection, t topology.Topology) error {
	bindings := ringBindings(t)
	if len(bindings) == 0 {
		return nil
	}
	for {
		done, err := ringsOrdered(conn)
		if err == nil && !done {
			done, err = orderRingsAlone(conn, bindings)
		}
		if done || err != nil {
			return err
		}
		timer := time.NewTimer(ringPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("wait for the order of the partitions: %w", context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// ringsOrdered looks for the marker.
func ringsOrdered(conn *amqp.Connection) (bool, error) {
	ch, err := conn.Channel()
	if err != nil {
		return false, fmt.Errorf("open a channel to look at the partitions: %w", err)
	}
	defer func() { _ = ch.Close() }()
	err = ch.ExchangeDeclarePassive(topology.RingExchange, topology.KindFanout, false, false, true, false, nil)
	if e, ok := serverError(err); ok && e.Code == amqp.NotFound {
		return false, nil
	}
	if err != nil {
		return false, declareError(err, "exchange", topology.RingExchange, topology.KindFanout)
	}
	return true, nil
}

// orderRingsAlone binds anew under a lock, a queue that only this connection may have. It returns false where another one has it.
func orderRingsAlone(conn *amqp.Connection, bindings []topology.Binding) (done bool, err error) {
	ch, err := conn.Channel()
	if err != nil {
		return false, fmt.Errorf("open a channel to order the partitions: %w", err)
	}
	defer func() { _ = ch.Close() }()
	_, err = ch.QueueDeclare(topology.RingExchange, false, false, true, false, nil)
	if e, ok := serverError(err); ok && e.Code == amqp.ResourceLocked {
		return false, nil
	}
	if err != nil {
		return false, declareError(err, "queue", topology.RingExchange, "")
	}
	defer func() {
		if _, unlocking := ch.QueueDelete(topology.RingExchange, false, false, false); unlocking != nil {
			err = errors.Join(err, fmt.Errorf("give the lock of the partitions back: %w", unlocking))
		}
	}()
	// Another one may have done it between the look and the lock.
	if done, err := ringsOrdered(conn); done || err != nil {
		return done, err
	}
	for _, b := range bindings {
		if err := ch.QueueUnbind(b.Destination, b.Key, b.Source, b.Args); err != nil {
			return false, declareError(err, "binding", b.Source+" to "+b.Destination, "")
		}
		if err := ch.QueueBind(b.Destination, b.Key, b.Source, false, b.Args); err != nil {
			return false, declareError(err, "binding", b.Source+" to "+b.Destination, "")
		}
	}
	if err := ch.ExchangeDeclare(topology.RingExchange, topology.KindFanout, false, false, true, false, nil); err != nil {
		return false, declareError(err, "exchange", topology.RingExchange, topology.KindFanout)
	}
	return true, nil
}

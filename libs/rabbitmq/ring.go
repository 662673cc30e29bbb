package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
)

// A connection waits that long before it looks again whether another one has put the rings in order. Each look leaves a line in the broker's log.
const minRingPause, maxRingPause = 50 * time.Millisecond, 2 * time.Second

var errNotOrdered = errors.New("the partitions are not in order")

// AwaitPartitionsOn has every fresh connection of c wait until the partitions are in order, which the services see to after each start of the
// broker. It is for other programs that publish events: what is sent before may overtake what waits in another partition.
func AwaitPartitionsOn(c *Connector) {
	c.Each(func(ctx context.Context, conn *amqp.Connection) error {
		return untilOrdered(ctx, conn, func() (bool, error) { return false, nil })
	})
}

// splitBindings parts the bindings of consistent-hash exchanges, in the order that their rings are to have, from the others.
func splitBindings(t topology.Topology) (rings, others []topology.Binding) {
	hashed := map[string]bool{}
	for _, e := range t.Exchanges {
		hashed[e.Name] = e.Kind == topology.KindConsistentHash
	}
	for _, b := range t.Bindings {
		if hashed[b.Source] {
			rings = append(rings, b)
		} else {
			others = append(others, b)
		}
	}
	return rings, others
}

// bindRings binds the queues of consistent-hash exchanges, and binds them anew, in order, once after each start of the broker. A broker with
// Mnesia forgets the order of a ring's queues and fills the ring in whichever order it recovers bindings, so that most keys would be led to
// another queue, past what still waits in their own. The marker, an exchange that goes with the broker, tells that it is done; before that
// nothing is published or consumed on this connection. One connection does it, the others wait, and touch no binding meanwhile: a broker that
// binds a queue for one while it unbinds it for another may be left with the binding and without the queue's place on the ring. At any moment
// all queues but one are bound.
func bindRings(ctx context.Context, conn *amqp.Connection, bindings []topology.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	alone := false
	err := untilOrdered(ctx, conn, func() (bool, error) {
		done, err := orderRingsAlone(conn, bindings)
		alone = done
		return done, err
	})
	if err != nil || alone {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel to bind the partitions: %w", err)
	}
	defer func() { _ = ch.Close() }()
	return bind(ctx, ch, bindings)
}

// untilOrdered returns when the marker is there, or when order has returned true. It is called as long as the marker is not there.
func untilOrdered(ctx context.Context, conn *amqp.Connection, order func() (bool, error)) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = minRingPause, maxRingPause
	look := func() (struct{}, error) {
		done, err := ringsOrdered(conn)
		if err == nil && !done {
			done, err = order()
		}
		if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		if !done {
			return struct{}{}, errNotOrdered
		}
		return struct{}{}, nil
	}
	if _, err := backoff.Retry(ctx, look, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0)); err != nil {
		return fmt.Errorf("wait until the partitions are in order: %w", err)
	}
	return nil
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

// orderRingsAlone binds anew under a lock, a queue that only this connection may have. It returns false where another one has it or had it
// just now.
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
	if there, err := ringsOrdered(conn); there || err != nil {
		return false, err
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

package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Bounds of the pause before a message is handled again.
const (
	minRetry = 50 * time.Millisecond
	maxRetry = 5 * time.Second
)

// partition consumes one queue on a channel of its own.
type partition struct {
	consumer *Consumer
	number   int
	queue    string
	inTurn   *sync.Mutex // is held while the consumer registers at the queue, if there is one
	alone    bool        // on a connection of its own
}

// consume returns nil when the consumer was told to stop, otherwise why the partition can't be consumed on this connection any more.
func (p *partition) consume(ctx context.Context, conn *amqp.Connection) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel to consume from %s: %w", p.queue, err)
	}
	defer func() { _ = ch.Close() }() // what was not acknowledged goes back to the queue, in its place
	working, release := drainContext(ctx, ch, p.consumer.cfg.Drain)
	defer release()
	deliveries, err := p.register(ctx, ch)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-deliveries:
			if !ok {
				return ended(ctx, working, ch, p.queue)
			}
			if err := p.one(ctx, working, ch, d); err != nil {
				return err
			}
		}
	}
}

// register has the broker send what is in the queue. Where ctx ends before it is this partition's turn there is no channel and no error.
func (p *partition) register(ctx context.Context, ch *amqp.Channel) (<-chan amqp.Delivery, error) {
	c := p.consumer
	if p.inTurn != nil {
		p.inTurn.Lock()
		defer p.inTurn.Unlock()
	}
	if ctx.Err() != nil {
		return nil, nil //nolint:nilnil // What failed meanwhile is another's.
	}
	err := ch.Qos(c.cfg.Prefetch, 0, false)
	var deliveries <-chan amqp.Delivery
	if err == nil {
		args := amqp.Table{"x-priority": priority(c.cfg.Replica, p.number)}
		deliveries, err = ch.Consume(p.queue, c.cfg.Replica, false, false, false, false, args)
	}
	c.broken.registered(ctx, p, err)
	if err != nil {
		return nil, consumeError(err, p.queue, c.connector.user)
	}
	return deliveries, nil
}

// one handles a delivery until it is settled and acknowledges it. An error means that the channel is of no more use.
func (p *partition) one(ctx, working context.Context, ch *amqp.Channel, raw amqp.Delivery) error {
	if ctx.Err() != nil || ch.IsClosed() {
		return nil // amqp091 may yield what it had buffered after the end; it comes again
	}
	d := newDelivery(raw, p.number)
	held := p.consumer.connector.cfg.Metrics.active.WithLabelValues(p.consumer.cfg.Exchange)
	held.Inc()
	defer held.Dec()
	if err := p.settle(ctx, working, d); err != nil {
		return nil // told to stop or the connection is gone; not acknowledged, so it comes again
	}
	if err := ch.Ack(raw.DeliveryTag, false); err != nil {
		return fmt.Errorf("acknowledge a message of %s: %w", p.queue, err)
	}
	p.consumer.settled(d)
	return nil
}

// settle has the message handled, again and again until it is handled or parked. An error means that it is neither, and that working or
// ctx has ended.
func (p *partition) settle(ctx, working context.Context, d Delivery) error {
	d, forged := restored(d, p.consumer.connector.user)
	working, span := startConsume(working, p.consumer.cfg.Exchange, d)
	defer span.End()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = minRetry, maxRetry
	attempt := func() (struct{}, error) {
		var err error
		if forged == nil {
			err = p.consumer.handle(working, d)
		} else {
			err = forged
		}
		if rejected, ok := asRejected(err); ok {
			err = p.consumer.park(working, d, rejected)
		}
		switch {
		case err == nil:
		case working.Err() != nil:
			err = backoff.Permanent(&transientError{err}) // it failed because it was told to
		default:
			err = &transientError{err}
		}
		return struct{}{}, err
	}
	notify := func(err error, next time.Duration) {
		p.consumer.connector.cfg.Metrics.retried.WithLabelValues(p.consumer.cfg.Exchange).Inc()
		p.consumer.log.WarnContext(working, "handling a message failed, its partition waits", "error", err.Error(),
			"message_id", d.MessageID, "routing_key", d.RoutingKey, "partition", d.Partition, "in", next.Round(time.Millisecond))
	}
	// The pauses end with ctx; an attempt that has begun has the working context.
	pauses, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(working, func() { cancel(context.Cause(working)) })()
	_, err := backoff.Retry(pauses, attempt,
		backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0), backoff.WithNotify(notify))
	return err
}

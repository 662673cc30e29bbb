package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// confirmTimeout bounds waiting for the broker's confirms where the caller's context has no deadline, and how long a channel may leave one out.
const confirmTimeout = 10 * time.Second

// Publisher publishes persistent, mandatory messages and waits for the broker's confirms. It has a channel of its own on its connector's
// connection. All methods are safe for concurrent use.
type Publisher struct {
	connector *Connector
	app       string
	current   atomic.Pointer[publishChannel]
}

// NewPublisher makes a publisher on the connection of c, before c runs. app is the app-id of the messages.
func NewPublisher(c *Connector, app string) *Publisher {
	p := &Publisher{connector: c, app: app}
	c.Serve(p.serve)
	return p
}

// Publish publishes one message and returns when the broker has confirmed it; the errors are those of PublishBatch.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	return p.PublishBatch(ctx, []Message{m})[0]
}

// PublishBatch publishes messages in order without waiting for each, then waits until the broker has answered for all of them, ctx ends,
// or, where ctx has no deadline, 10 s have passed. The result has one entry for each message: nil for those that the broker has stored in
// all the queues that are bound for them, otherwise an error that wraps ErrUnavailable, ErrUnconfirmed, ErrNacked, ErrUnroutable or
// ErrRefused. A message after a failed one may have been stored, so messages whose order matters belong in separate batches.
func (p *Publisher) PublishBatch(ctx context.Context, messages []Message) []error {
	if len(messages) == 0 {
		return nil
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, confirmTimeout)
		defer cancel()
	}
	batch := make([]*publishing, len(messages))
	for i, m := range messages {
		batch[i] = &publishing{message: m, outcome: make(chan error, 1)}
	}
	errs := make([]error, len(batch))
	if err := p.hand(ctx, batch); err != nil {
		for i := range errs {
			errs[i] = err
		}
	} else {
		for i, one := range batch {
			errs[i] = one.wait(ctx)
		}
	}
	for i, one := range batch {
		p.connector.cfg.Metrics.published.WithLabelValues(one.message.Exchange, publishResult(errs[i])).Inc()
	}
	return errs
}

// hand gives the batch to the channel's writer.
func (p *Publisher) hand(ctx context.Context, batch []*publishing) error {
	channel := p.current.Load()
	if channel == nil {
		return ErrUnavailable
	}
	return channel.hand(ctx, batch)
}

// serve opens a channel for each connection, and another one when the broker closes it over a message or leaves one without an answer.
func (p *Publisher) serve(ctx context.Context, conn *amqp.Connection) error {
	return eachChannel(ctx, p.connector, conn, "publishing", func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return fmt.Errorf("ask for confirms: %w", err)
		}
		channel := newPublishChannel(ch, p.connector.user, p.app)
		p.current.Store(channel)
		defer p.current.CompareAndSwap(channel, nil)
		return channel.run(ctx)
	})
}

// publishResult is the label of the metric.
func publishResult(err error) string {
	switch {
	case err == nil:
		return "confirmed"
	case errors.Is(err, ErrUnroutable):
		return "unroutable"
	case errors.Is(err, ErrNacked):
		return "nacked"
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	default:
		return "unconfirmed"
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/rabbitmq"
)

const (
	appID = "example-orchestrator"
	// queueName begins with the broker user's name: it may make no other.
	queueName = "orchestrator.events"
	prefetch  = 16
)

// followed are the types that the queue is bound to.
var followed = []events.Type{events.CallConnected, events.TranscriptFinal}

// publisher publishes messages and tells for each whether the broker has confirmed it.
type publisher interface {
	PublishBatch(ctx context.Context, messages []rabbitmq.Message) []error
}

// follower answers the events of the queue, one after the other.
type follower struct {
	name      string // of the broker user: whose events the answers are
	publisher publisher
	keep      func(ctx context.Context, sessionID, eventID string) error // returns nil once the checkpoint is kept
	log       *slog.Logger
}

// follow consumes on one connection until it is lost or ctx ends. An error gives the connection up; the next one gets again what was not
// acknowledged on this one, in order.
func (f follower) follow(ctx context.Context, conn *amqp.Connection) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	defer func() { _ = ch.Close() }()
	deliveries, err := consume(ch)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-deliveries:
			if ctx.Err() != nil {
				return nil // what was buffered comes again
			}
			if !ok {
				return errors.New("the broker ended the consumer")
			}
			if err := f.one(ctx, d); err != nil {
				return err
			}
		}
	}
}

// consume declares the queue, with what keeps it whole: it survives the broker, one replica at a time consumes it, so that order is kept,
// and it forgets nothing however often its consumer is killed.
func consume(ch *amqp.Channel) (<-chan amqp.Delivery, error) {
	_, err := ch.QueueDeclare(queueName, true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-single-active-consumer": true, "x-delivery-limit": int64(-1),
	})
	if err != nil {
		return nil, fmt.Errorf("declare %s: %w", queueName, err)
	}
	for _, kind := range followed {
		if err := ch.QueueBind(queueName, string(kind), topology.EventsExchange, false, nil); err != nil {
			return nil, fmt.Errorf("bind %s to %s: %w", queueName, kind, err)
		}
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return nil, fmt.Errorf("set the prefetch: %w", err)
	}
	deliveries, err := ch.Consume(queueName, "", false, false, false, false, nil)
	if err != nil {
		return nil, fmt.Errorf("consume %s: %w", queueName, err)
	}
	return deliveries, nil
}

// one handles a message, and acknowledges it when nothing of it is left to do.
func (f follower) one(ctx context.Context, d amqp.Delivery) error {
	if err := f.handle(ctx, d); err != nil {
		return err
	}
	if err := d.Ack(false); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

// handle returns nil when everything that a message asks for is done, the broker has confirmed it and the checkpoint is kept; only then may
// the message be acknowledged. So a checkpoint is never behind what was acknowledged, whenever the program is killed.
func (f follower) handle(ctx context.Context, d amqp.Delivery) error {
	session, _ := d.Headers[topology.HeaderSessionID].(string)
	cause, err := events.Accept(events.Delivery{
		Body: d.Body, RoutingKey: d.RoutingKey, MessageID: d.MessageId, UserID: d.UserId, SessionHeader: session,
	})
	var rejected *events.RejectedError
	if errors.As(err, &rejected) {
		// The services park it where it can be looked at; here it is of no use.
		f.log.WarnContext(ctx, "an event breaks its contract, passing it over", "reason", rejected.Reason, "message_id", d.MessageId)
		return nil
	}
	if err != nil {
		return err
	}
	answers, err := answer(cause, f.name)
	if err != nil {
		return fmt.Errorf("answer %s %s: %w", cause.Type, cause.EventID, err)
	}
	headers := map[string]string{topology.HeaderSessionID: cause.SessionID}
	for _, name := range []string{"traceparent", "tracestate"} {
		if value, ok := d.Headers[name].(string); ok {
			headers[name] = value
		}
	}
	// One by one: an action is not executed before it is proposed.
	for _, sealed := range answers {
		envelope := sealed.Envelope()
		err := f.publisher.PublishBatch(ctx, []rabbitmq.Message{{
			Exchange: topology.EventsExchange, Key: string(envelope.Type), ID: envelope.EventID, Headers: headers, Body: sealed.JSON(),
		}})[0]
		if err != nil {
			return fmt.Errorf("publish %s for %s: %w", envelope.Type, cause.EventID, err)
		}
	}
	return f.keep(ctx, cause.SessionID, cause.EventID)
}

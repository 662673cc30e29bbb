package stack

import (
	"context"
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
)

// observerQueue is bound to everything on the events exchange, as another team's consumer would be.
const observerQueue = "observer"

// Observer keeps what is published on the events exchange of a stack, over restarts of the broker too.
type Observer struct {
	url string
	got []events.Accepted
}

// Observe binds a durable queue to the events exchange, which the services have declared by now.
func (s *Stack) Observe(t testing.TB) *Observer {
	t.Helper()
	o := &Observer{url: s.Vhost.URL("admin")}
	err := o.withChannel(func(ch *amqp.Channel) error {
		if _, err := ch.QueueDeclare(observerQueue, true, false, false, false, nil); err != nil {
			return fmt.Errorf("declaring the observer's queue: %w", err)
		}
		if err := ch.QueueBind(observerQueue, "#", topology.EventsExchange, false, nil); err != nil {
			return fmt.Errorf("binding the observer's queue: %w", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Await reads until the session has at least n events, and gives all that came of it, in order. Every event read must hold to its
// published schema, as another library than the services' reads it, and be one that the contracts accept, of whichever session.
func (o *Observer) Await(t testing.TB, sessionID string, n int) []events.Accepted {
	t.Helper()
	testkit.Eventually(t, Patience, func(context.Context) error {
		if err := o.withChannel(o.drain); err != nil {
			return err
		}
		if got := o.of(sessionID); len(got) < n {
			return fmt.Errorf("%d of %d events of the session were published: %v", len(got), n, typesOf(got))
		}
		return nil
	})
	return o.of(sessionID)
}

func (o *Observer) of(sessionID string) []events.Accepted {
	var got []events.Accepted
	for _, e := range o.got {
		if e.SessionID == sessionID {
			got = append(got, e)
		}
	}
	return got
}

func typesOf(list []events.Accepted) []events.Type {
	types := make([]events.Type, len(list))
	for i, e := range list {
		types[i] = e.Type
	}
	return types
}

// drain takes everything that the queue holds now.
func (o *Observer) drain(ch *amqp.Channel) error {
	for {
		d, ok, err := ch.Get(observerQueue, false)
		if err != nil {
			return fmt.Errorf("reading the observer's queue: %w", err)
		}
		if !ok {
			return nil
		}
		if err := ValidatePublished(d.RoutingKey, d.Body); err != nil {
			return fmt.Errorf("message %s: %w", d.MessageId, err)
		}
		session, _ := d.Headers[topology.HeaderSessionID].(string)
		accepted, err := events.Accept(events.Delivery{
			Body: d.Body, RoutingKey: d.RoutingKey, MessageID: d.MessageId, UserID: d.UserId, SessionHeader: session,
		})
		if err != nil {
			return fmt.Errorf("an event was published that the contracts don't accept: %w", err)
		}
		if d.DeliveryMode != amqp.Persistent {
			return fmt.Errorf("%s %s was published as transient", accepted.Type, accepted.EventID)
		}
		if traceparent, _ := d.Headers["traceparent"].(string); traceparent == "" {
			return fmt.Errorf("%s %s was published without traceparent", accepted.Type, accepted.EventID)
		}
		if err := d.Ack(false); err != nil {
			return fmt.Errorf("acknowledging to the observer's queue: %w", err)
		}
		o.got = append(o.got, accepted)
	}
}

// withChannel does something on a connection of its own, so that nothing is held while the broker goes and comes.
func (o *Observer) withChannel(do func(*amqp.Channel) error) error {
	conn, err := amqp.Dial(o.url)
	if err != nil {
		return fmt.Errorf("connecting the observer: %w", err)
	}
	defer conn.Close() //nolint:errcheck // Nothing is in hand.
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("opening the observer's channel: %w", err)
	}
	return do(ch)
}

package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	// observerQueue is bound to everything on the events exchange, as another team's consumer would be.
	observerQueue = "observer"
	// observerPrefetch is how many messages are in hand at once.
	observerPrefetch = 256
	// redialPause is how long the observer waits before it looks again for a broker that is away.
	redialPause = 100 * time.Millisecond
)

// Observer sees everything that is published on the events exchange of a virtual host, from before the services start and over restarts of
// the broker. Each message has to hold to what is published of it (see CheckPublished): the first that doesn't fails the test.
type Observer struct {
	t   testing.TB
	url string

	mu      sync.Mutex
	got     []events.Accepted
	seen    map[string]bool // by event id
	invalid map[string]bool // message ids of what ExpectInvalid told of, and whether they came
	failure error           // the first
}

// Observe begins to observe a virtual host; it ends with the test.
func Observe(t testing.TB, vhost *testkit.Vhost) *Observer {
	t.Helper()
	o := &Observer{t: t, url: vhost.URL("admin"), seen: map[string]bool{}, invalid: map[string]bool{}}
	if err := o.withChannel(declareObserver); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		t.Logf("%d events of %d types were published, %s", o.count(), len(o.types()), o.verdict())
	})
	return o
}

// declareObserver makes the queue, and the exchange as the services declare it.
func declareObserver(ch *amqp.Channel) error {
	if err := ch.ExchangeDeclare(topology.EventsExchange, topology.KindTopic, true, false, false, false, nil); err != nil {
		return fmt.Errorf("declaring the events exchange: %w", err)
	}
	args := amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int64(-1)}
	if _, err := ch.QueueDeclare(observerQueue, true, false, false, false, args); err != nil {
		return fmt.Errorf("declaring the observer's queue: %w", err)
	}
	if err := ch.QueueBind(observerQueue, "#", topology.EventsExchange, false, nil); err != nil {
		return fmt.Errorf("binding the observer's queue: %w", err)
	}
	return nil
}

// ExpectInvalid has the observer expect a message that a test sends and that is not as it is published: it has to come, and to be found out.
func (o *Observer) ExpectInvalid(messageID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.invalid[messageID] = false
}

// Await waits until at least n messages of the session were published, and gives all events that came of it, in order.
func (o *Observer) Await(t testing.TB, sessionID string, n int) []events.Accepted {
	t.Helper()
	var got []events.Accepted
	testkit.Eventually(t, Patience, func(context.Context) error {
		if got = o.Of(sessionID); len(got) < n {
			return fmt.Errorf("%d of %d events of the session were published: %v", len(got), n, typesOf(got))
		}
		return nil
	})
	return got
}

// Of gives the events of a session that came so far, in order, also those that came again.
func (o *Observer) Of(sessionID string) []events.Accepted {
	o.mu.Lock()
	defer o.mu.Unlock()
	var got []events.Accepted
	for _, e := range o.got {
		if e.SessionID == sessionID {
			got = append(got, e)
		}
	}
	return got
}

// All gives the events that came so far, in order, also those that came again.
func (o *Observer) All() []events.Accepted {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.got)
}

// Count is how many messages of the type came so far.
func (o *Observer) Count(kind events.Type) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	count := 0
	for _, e := range o.got {
		if e.Type == kind {
			count++
		}
	}
	return count
}

// Missing gives those of the ids that never came, and of what ExpectInvalid told of.
func (o *Observer) Missing(ids []string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var missing []string
	for _, id := range ids {
		if !o.seen[id] {
			missing = append(missing, id)
		}
	}
	for id, came := range o.invalid {
		if !came {
			missing = append(missing, id)
		}
	}
	return missing
}

func (o *Observer) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.got)
}

func (o *Observer) types() map[events.Type]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	types := map[events.Type]bool{}
	for _, e := range o.got {
		types[e.Type] = true
	}
	return types
}

func (o *Observer) verdict() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure != nil {
		return "and then: " + o.failure.Error()
	}
	return fmt.Sprintf("all valid against contracts/events/schemas; %d that were meant to be invalid were found out", len(o.invalid))
}

func typesOf(list []events.Accepted) []events.Type {
	types := make([]events.Type, len(list))
	for i, e := range list {
		types[i] = e.Type
	}
	return types
}

// run takes what comes, on one connection after the other, until ctx ends or something breaks the contracts.
func (o *Observer) run(ctx context.Context) {
	for {
		err := o.withChannel(func(ch *amqp.Channel) error { return o.consume(ctx, ch) })
		var broken *brokenError
		if errors.As(err, &broken) {
			o.mu.Lock()
			o.failure = err
			o.mu.Unlock()
			o.t.Error(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(redialPause):
		}
	}
}

// consume takes what comes on one channel.
func (o *Observer) consume(ctx context.Context, ch *amqp.Channel) error {
	if err := ch.Qos(observerPrefetch, 0, false); err != nil {
		return fmt.Errorf("limiting what the observer has in hand: %w", err)
	}
	deliveries, err := ch.Consume(observerQueue, "", false, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("reading the observer's queue: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-deliveries:
			if !ok {
				return errors.New("the observer's connection is lost")
			}
			if err := o.take(d); err != nil {
				return &brokenError{err}
			}
			if err := d.Ack(false); err != nil {
				return fmt.Errorf("acknowledging to the observer's queue: %w", err)
			}
		}
	}
}

// brokenError: a message was published that it should not have been.
type brokenError struct{ error }

// take checks a message and keeps it.
func (o *Observer) take(d amqp.Delivery) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	problem := CheckPublished(d)
	if _, expected := o.invalid[d.MessageId]; expected {
		o.invalid[d.MessageId] = true
		if problem == nil {
			return fmt.Errorf("the message %s passes for a valid one", d.MessageId)
		}
		return nil
	}
	if problem != nil {
		return fmt.Errorf("message %s of %s: %w: %.500s", d.MessageId, d.UserId, problem, d.Body)
	}
	if d.Redelivered && o.seen[d.MessageId] {
		return nil // What acknowledged it was lost with the connection.
	}
	session, _ := d.Headers[topology.HeaderSessionID].(string)
	accepted, err := events.Accept(events.Delivery{
		Body: d.Body, RoutingKey: d.RoutingKey, MessageID: d.MessageId, UserID: d.UserId, SessionHeader: session,
	})
	if err != nil {
		return fmt.Errorf("an event was published that the contracts don't accept: %w", err)
	}
	o.got, o.seen[accepted.EventID] = append(o.got, accepted), true
	return nil
}

// withChannel does something on a connection of its own.
func (o *Observer) withChannel(do func(*amqp.Channel) error) error {
	conn, err := amqp.Dial(o.url)
	if err != nil {
		return fmt.Errorf("connecting the observer: %w", err)
	}
	defer conn.Close() //nolint:errcheck // What is in hand comes again.
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("opening the observer's channel: %w", err)
	}
	return do(ch)
}

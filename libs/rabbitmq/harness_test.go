//go:build integration

package rabbitmq

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// Enough for a loaded machine; nothing below waits that long when it works.
const patience = 30 * time.Second

const eventType = "call.created" // one that the user sessions may send

// connect makes a connector that is given up at the end of the test.
func connector(t testing.TB, url config.Secret, name string) *Connector {
	t.Helper()
	c, err := NewConnector(Config{
		URL: url, Name: name, MinVersion: "4.0", Heartbeat: 2 * time.Second, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	return c
}

// running is a connector that runs.
type running struct {
	*Connector
	stop func() // tells it to stop and waits
	err  chan error
}

// start runs a connector until the end of the test or until stop.
func start(t testing.TB, c *Connector) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r := &running{Connector: c, err: make(chan error, 1)}
	go func() {
		defer close(done)
		r.err <- c.Run(ctx)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the connector does not stop")
		}
	})
	t.Cleanup(r.stop)
	return r
}

func connected(t testing.TB, cs ...*running) {
	t.Helper()
	for _, c := range cs {
		require.Eventually(t, c.Connected, patience, 10*time.Millisecond, "no connection")
	}
}

// sender is a publisher of the user sessions that has declared the topology.
func sender(t testing.TB, v *testkit.Vhost, partitions int) *Publisher {
	t.Helper()
	c := connector(t, config.Secret(v.URL("sessions")), "sender")
	DeclareOn(c, topology.Shared(partitions))
	p := NewPublisher(c, "test")
	start(t, c)
	require.Eventually(t, func() bool { return p.current.Load() != nil }, patience, 10*time.Millisecond, "no publisher")
	return p
}

// numbered returns the messages from..to-1 of a session, with their number as the body.
func numbered(session string, from, to int) []Message {
	messages := make([]Message, 0, to-from)
	for n := from; n < to; n++ {
		messages = append(messages, Message{
			Exchange: topology.EventsExchange, Key: eventType, ID: uuid.NewString(),
			Headers: map[string]string{topology.HeaderSessionID: session}, Body: []byte(fmt.Sprint(n)),
		})
	}
	return messages
}

func publishAll(t testing.TB, p *Publisher, messages []Message) {
	t.Helper()
	for i, err := range p.PublishBatch(testkit.Context(t, patience), messages) {
		require.NoError(t, err, "message %d", i)
	}
}

// seen collects what handlers got.
type seen struct {
	mu     sync.Mutex
	bodies map[string][]string // by session, those that were handled, in order
	total  int
}

func newSeen() *seen { return &seen{bodies: map[string][]string{}} }

func (s *seen) add(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := d.Headers[topology.HeaderSessionID]
	s.bodies[id] = append(s.bodies[id], string(d.Body))
	s.total++
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

func (s *seen) of(session string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies[session]...)
}

func (s *seen) handle(_ context.Context, d Delivery) error {
	s.add(d)
	return nil
}

// firsts leaves repetitions out.
func firsts(list []string) []string {
	known := map[string]bool{}
	var out []string
	for _, x := range list {
		if !known[x] {
			known[x] = true
			out = append(out, x)
		}
	}
	return out
}

func numbers(from, to int) []string {
	var out []string
	for n := from; n < to; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

// consumer makes a consumer of the user sessions, with its dead publisher.
func consumer(t testing.TB, url config.Secret, partitions int, replica string, dead BatchPublisher, h Handler) *Connector {
	t.Helper()
	c := connector(t, url, "consumer-"+replica)
	DeclareOn(c, topology.Shared(partitions))
	NewConsumer(c, ConsumerConfig{
		Exchange: topology.SessionsEvents, Partitions: partitions, Replica: replica, Prefetch: 10, Dead: dead,
	}, h)
	return c
}

// adminChannel is a channel of the administrator on a connection of its own, which lasts as long as the test.
func adminChannel(t testing.TB, v *testkit.Vhost) *amqp.Channel {
	t.Helper()
	return newChannel(t, adminConnection(t, v))
}

func adminConnection(t testing.TB, v *testkit.Vhost) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(v.URL("admin"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func newChannel(t testing.TB, conn *amqp.Connection) *amqp.Channel {
	t.Helper()
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

// inspect returns what the broker says of a queue now, and whether it is there.
func inspect(t testing.TB, v *testkit.Vhost, queue string) (amqp.Queue, bool) {
	t.Helper()
	conn, err := amqp.Dial(v.URL("admin"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	q, err := newChannel(t, conn).QueueDeclarePassive(queue, true, false, false, false, nil)
	return q, err == nil
}

// depth counts the messages in a queue that nobody has taken, as the broker knows it now.
func depth(t testing.TB, v *testkit.Vhost, queue string) int {
	t.Helper()
	q, there := inspect(t, v, queue)
	require.True(t, there, "no queue %s", queue)
	return q.Messages
}

func consumersOf(t testing.TB, v *testkit.Vhost, queue string) int {
	t.Helper()
	q, _ := inspect(t, v, queue)
	return q.Consumers
}

// emptied waits until no partition has a message, neither waiting nor on its way to a consumer that must have stopped before.
func emptied(t testing.TB, v *testkit.Vhost, partitions int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for n := range partitions {
			if depth(t, v, topology.PartitionQueue(topology.SessionsEvents, n)) > 0 {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond, "messages are left")
}

//go:build integration

package rabbitmq

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
)

func TestWhatIsConfirmedIsInTheQueuesOfBothServices(t *testing.T) {
	const partitions, total = 4, 300
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, partitions)
	for s := range 10 {
		publishAll(t, publisher, numbered(fmt.Sprint("s", s), 0, total/10))
	}
	for _, exchange := range []string{topology.SessionsEvents, topology.BridgeEvents} {
		sum := 0
		for n := range partitions {
			sum += depth(t, v, topology.PartitionQueue(exchange, n))
		}
		assert.Equal(t, total, sum, exchange)
	}
}

func TestAMessageCarriesWhatConsumersRelyOn(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	m := Message{
		Exchange: topology.EventsExchange, Key: eventType, ID: uuid.NewString(), Timestamp: at, Body: []byte(`{"a":1}`),
		Headers: map[string]string{topology.HeaderSessionID: "s", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	require.NoError(t, publisher.Publish(t.Context(), m))
	ch := adminChannel(t, v)
	deliveries, err := ch.Consume(topology.PartitionQueue(topology.SessionsEvents, 0), "", true, false, false, false, nil)
	require.NoError(t, err)
	raw := <-deliveries
	assert.Equal(t, amqp.Persistent, raw.DeliveryMode)
	assert.Equal(t, Delivery{
		Exchange: m.Exchange, RoutingKey: m.Key, MessageID: m.ID, UserID: "sessions", AppID: "test", ContentType: "application/json",
		Timestamp: at, Headers: m.Headers, Body: m.Body, Partition: 7,
	}, func() Delivery { d := newDelivery(raw, 7); d.Timestamp = d.Timestamp.UTC(); return d }())
}

func TestAMessageThatNoQueueIsBoundForIsToldApart(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	batch := numbered("s", 0, 5)
	batch[1].Exchange, batch[1].Key = topology.DeadExchange, "nobody.dead"
	batch[3].Exchange, batch[3].Key = topology.CommandsExchange, "token.issue"
	errs := publisher.PublishBatch(testkit.Context(t, patience), batch)
	for i, err := range errs {
		if i == 1 || i == 3 {
			assert.ErrorIs(t, err, ErrUnroutable, i)
			continue
		}
		assert.NoError(t, err, i)
	}
}

// What the broker refuses closes the channel. The message is told so, and the publisher goes on with the next.
func TestARefusedMessageDoesNotStopThePublisher(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	good := numbered("s", 0, 1)[0]
	foreignType, foreignUser, internal, huge := good, good, good, good
	foreignType.Key = "call.connected"
	foreignUser.UserID = "bridge"
	internal.Exchange, internal.Key = topology.BridgeEvents, "anything"
	huge.Body = make([]byte, 2<<20)
	for name, bad := range map[string]Message{
		"a type of another service": foreignType, "the user of another service": foreignUser,
		"past the topic permissions": internal, "more than the broker takes": huge,
	} {
		err := publisher.Publish(testkit.Context(t, patience), bad)
		require.ErrorIs(t, err, ErrRefused, name)
		require.Eventually(t, func() bool {
			err := publisher.Publish(testkit.Context(t, patience), good)
			return err == nil || !assert.True(t, errors.Is(err, ErrUnavailable), "%v", err)
		}, patience, 5*time.Millisecond, name)
	}
}

// An exchange that somebody deletes is declared again by dialling anew.
func TestADeletedExchangeIsDeclaredAgain(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	require.NoError(t, adminChannel(t, v).ExchangeDelete(topology.EventsExchange, false, false))
	message := numbered("s", 0, 1)[0]
	require.ErrorIs(t, publisher.Publish(testkit.Context(t, patience), message), ErrRefused)
	require.Eventually(t, func() bool {
		return publisher.Publish(testkit.Context(t, patience), message) == nil
	}, patience, 5*time.Millisecond)
}

// The broker goes away in the middle of it: every message has an answer, and those that were confirmed are there.
func TestALostConnectionAnswersEveryMessage(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	sender(t, v, 1) // declares
	link, url := newProxy(t, v.URL("sessions"))
	c := connector(t, url, "cut")
	publisher := NewPublisher(c, "test")
	connected(t, start(t, c))
	require.Eventually(t, func() bool { return publisher.current.Load() != nil }, patience, time.Millisecond)
	var (
		outcomes  sync.WaitGroup
		mu        sync.Mutex
		confirmed int
	)
	for s := range 20 {
		outcomes.Go(func() {
			for _, err := range publisher.PublishBatch(testkit.Context(t, patience), numbered(fmt.Sprint("s", s), 0, 200)) {
				switch {
				case err == nil:
					mu.Lock()
					confirmed++
					mu.Unlock()
				case errors.Is(err, ErrUnconfirmed), errors.Is(err, ErrUnavailable):
				default:
					t.Errorf("unexpected: %v", err)
				}
			}
		})
	}
	queue := topology.PartitionQueue(topology.SessionsEvents, 0)
	require.Eventually(t, func() bool { return depth(t, v, queue) > 100 }, patience, time.Millisecond)
	link.Cut()
	outcomes.Wait()
	assert.GreaterOrEqual(t, depth(t, v, queue), confirmed, "what was confirmed is stored")
	require.Eventually(t, func() bool {
		return publisher.Publish(testkit.Context(t, patience), numbered("s", 0, 1)[0]) == nil
	}, patience, 10*time.Millisecond, "it heals")
}

func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			publisher := sender(b, testkit.Rabbit(b).Vhost(b), 8)
			batches := make([][]Message, 64)
			for i := range batches {
				batches[i] = numbered(fmt.Sprint("s", i), 0, size)
			}
			b.ResetTimer()
			for n := 0; n < b.N; n++ {
				publishAll(b, publisher, batches[n%len(batches)])
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

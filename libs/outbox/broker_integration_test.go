//go:build integration

package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/testkit"
)

const partitions = 4

// connect runs a connector that declares the topology and has what is added to it.
func connect(t testing.TB, url, name string, add func(*rabbitmq.Connector)) *rabbitmq.Connector {
	t.Helper()
	c, err := rabbitmq.NewConnector(rabbitmq.Config{
		URL: config.Secret(url), Name: name, MinVersion: "4.0", Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	rabbitmq.DeclareOn(c, topology.Shared(partitions))
	add(c)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, c.Run(ctx)) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return c
}

// From commit to handler over the real broker, which cuts every connection again and again: nothing is lost, and what arrives for the
// first time arrives in order.
func TestOverTheBrokerNothingIsLostAndOrderIsKept(t *testing.T) {
	const keys, each, cuts = 10, 150, 4
	vhost, url := testkit.Rabbit(t).Vhost(t), database(t)
	var publisher *rabbitmq.Publisher
	connect(t, vhost.URL("sessions"), "publisher", func(c *rabbitmq.Connector) { publisher = rabbitmq.NewPublisher(c, "test") })
	in := &wire{}
	connect(t, vhost.URL("sessions"), "consumer", func(c *rabbitmq.Connector) {
		rabbitmq.NewConsumer(c, rabbitmq.ConsumerConfig{
			Exchange: topology.SessionsEvents, Partitions: partitions, Replica: "a", Dead: publisher,
		}, func(_ context.Context, d rabbitmq.Delivery) error {
			in.mu.Lock()
			defer in.mu.Unlock()
			in.messages = append(in.messages, rabbitmq.Message{Headers: d.Headers, Body: d.Body})
			return nil
		})
	})
	for n := range 2 {
		start(t, Options{
			DB: open(t, url), Publisher: publisher, Holder: fmt.Sprint("relay-", n), Poll: 5 * time.Millisecond, Batch: 32,
		})
	}
	db := open(t, url)
	var saying sync.WaitGroup
	for k := range keys {
		saying.Go(func() {
			for range each {
				if !assert.NoError(t, say(db, fmt.Sprint("k", k), 1)) {
					return
				}
			}
		})
	}
	for cut := range cuts {
		require.Eventually(t, func() bool { return in.count() > cut*keys*each/(cuts+1) }, patience, time.Millisecond)
		vhost.CutConnections(t, "sessions")
	}
	saying.Wait()
	require.Eventually(t, func() bool {
		for k := range keys {
			if len(firsts(in.of(fmt.Sprint("k", k)))) < each {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond, "events are lost")
	for k := range keys {
		assert.Equal(t, upTo(each), firsts(in.of(fmt.Sprint("k", k))))
	}
}

// What a relay gets out of one process: rows of many keys, from the table to the broker's confirm and the mark.
func BenchmarkRelay(b *testing.B) {
	for _, keys := range []int{1, 100} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			vhost, url := testkit.Rabbit(b).Vhost(b), database(b)
			var publisher *rabbitmq.Publisher
			c := connect(b, vhost.URL("sessions"), "publisher", func(c *rabbitmq.Connector) { publisher = rabbitmq.NewPublisher(c, "test") })
			require.Eventually(b, c.Connected, patience, time.Millisecond)
			db := open(b, url)
			for said := 0; said < b.N; {
				count := min(b.N-said, 1000)
				require.NoError(b, postgres.InPipeline(b.Context(), db, func(p *postgres.Pipeline) error {
					for k := range keys {
						if share := count/keys + btoi(k < count%keys); share > 0 {
							if _, err := sayIn(p, fmt.Sprint("k", k), share); err != nil {
								return err
							}
						}
					}
					return nil
				}))
				said += count
			}
			b.ResetTimer()
			start(b, Options{DB: db, Publisher: publisher, Holder: "bench"})
			require.Eventually(b, func() bool {
				var left int64
				return db.Raw(`SELECT count(*) FROM outbox WHERE published_at IS NULL`).Scan(&left).Error == nil && left == 0
			}, 5*time.Minute, time.Millisecond)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

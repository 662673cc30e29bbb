//go:build integration

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	bareExchange = "bare"
	barePrefetch = 32 // as the services'
	bareTable    = `CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL,
		logged_at timestamptz NOT NULL DEFAULT clock_timestamp())`
)

// bareConsumer takes messages from partitions like those of the services, and commits each as a row.
type bareConsumer struct {
	db       *pgx.Conn // counts what was committed
	channel  *amqp.Channel
	received int
}

func newBareConsumer(b *testing.B, s *stack.Stack) *bareConsumer {
	b.Helper()
	connection, err := amqp.Dial(s.Vhost.URL("admin"))
	require.NoError(b, err)
	c := &bareConsumer{}
	c.db, err = pgx.Connect(b.Context(), s.SessionsDB.OwnerURL)
	require.NoError(b, err)
	_, err = c.db.Exec(b.Context(), bareTable)
	require.NoError(b, err)
	c.channel, err = connection.Channel()
	require.NoError(b, err)
	require.NoError(b, c.channel.Confirm(false))
	require.NoError(b, c.channel.ExchangeDeclare(bareExchange, "x-consistent-hash", true, false, false, false,
		amqp.Table{"hash-header": topology.HeaderSessionID}))
	var consuming sync.WaitGroup
	for n := range topology.DefaultPartitions {
		queue := topology.PartitionQueue(bareExchange, n)
		_, err = c.channel.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-single-active-consumer": true})
		require.NoError(b, err)
		require.NoError(b, c.channel.QueueBind(queue, "1", bareExchange, false, nil))
		channel, err := connection.Channel()
		require.NoError(b, err)
		require.NoError(b, channel.Qos(barePrefetch, 0, false))
		deliveries, err := channel.ConsumeWithContext(b.Context(), queue, "", false, false, false, false, nil)
		require.NoError(b, err)
		db, err := pgx.Connect(b.Context(), s.SessionsDB.OwnerURL)
		require.NoError(b, err)
		consuming.Go(func() {
			defer db.Close(context.Background()) //nolint:errcheck // Nothing is in hand.
			for d := range deliveries {
				if _, err := db.Exec(b.Context(), "INSERT INTO bare (body) VALUES ($1)", d.Body); err != nil {
					if b.Context().Err() == nil {
						b.Errorf("the bare consumer: %v", err)
					}
					return
				}
				_ = d.Ack(false) // Where it is lost, the next look at the count says so.
			}
		})
	}
	b.Cleanup(func() {
		_ = connection.Close()
		consuming.Wait()
		_ = c.db.Close(context.Background())
	})
	return c
}

// rate publishes events, waits until all are committed, and returns how many a second were.
func (c *bareConsumer) rate(b *testing.B, all []events.Sealed) float64 {
	b.Helper()
	confirms := make([]*amqp.DeferredConfirmation, len(all))
	for i, one := range all {
		e := one.Envelope()
		var err error
		confirms[i], err = c.channel.PublishWithDeferredConfirm(bareExchange, strconv.Itoa(i), true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, Headers: amqp.Table{topology.HeaderSessionID: e.SessionID}, Body: one.JSON(),
		})
		require.NoError(b, err)
	}
	for _, confirm := range confirms {
		confirmed, err := confirm.WaitContext(b.Context())
		require.NoError(b, errors.Join(err, b.Context().Err()))
		require.True(b, confirmed)
	}
	c.received += len(all)
	testkit.Eventually(b, flowPatience, func(ctx context.Context) error {
		var committed int
		if err := c.db.QueryRow(ctx, "SELECT count(*) FROM bare").Scan(&committed); err != nil || committed == c.received {
			return err
		}
		return fmt.Errorf("%d of %d are committed", committed, c.received)
	})
	return committed(b, c.db, "SELECT logged_at FROM bare ORDER BY logged_at DESC LIMIT $1", len(all))
}

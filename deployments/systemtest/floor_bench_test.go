//go:build integration

package systemtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	floorQueue = "floor"
	floorTable = "CREATE TABLE floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)"
	floorRow   = "INSERT INTO floor (body) VALUES ($1)"
)

// floor is what has to happen at least: a commit in the bridge's database, a confirmed publish, and a commit in that of sessions.
type floor struct {
	*floorConns
	s      *stack.Stack
	broker *amqp.Connection
}

// floorConns are the connections that one who does it has for themselves.
type floorConns struct {
	bridge, sessions *pgx.Conn
	channel          *amqp.Channel
	body             []byte
}

func newFloor(b *testing.B, s *stack.Stack) *floor {
	b.Helper()
	f := &floor{s: s}
	var err error
	f.broker, err = amqp.Dial(s.Vhost.URL("admin"))
	require.NoError(b, err)
	b.Cleanup(func() { _ = f.broker.Close() })
	f.floorConns = f.connect(b)
	for _, conn := range []*pgx.Conn{f.bridge, f.sessions} {
		_, err = conn.Exec(b.Context(), floorTable)
		require.NoError(b, err)
	}
	_, err = f.channel.QueueDeclare(floorQueue, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-max-length": int32(1000)})
	require.NoError(b, err)
	return f
}

// connect makes connections for one more.
func (f *floor) connect(b *testing.B) *floorConns {
	b.Helper()
	c := &floorConns{body: bytes.Repeat([]byte("x"), 500)}
	for conn, url := range map[**pgx.Conn]string{&c.bridge: f.s.BridgeDB.OwnerURL, &c.sessions: f.s.SessionsDB.OwnerURL} {
		opened, err := pgx.Connect(b.Context(), url)
		require.NoError(b, err)
		b.Cleanup(func() { _ = opened.Close(context.Background()) })
		*conn = opened
	}
	var err error
	c.channel, err = f.broker.Channel()
	require.NoError(b, err)
	require.NoError(b, c.channel.Confirm(false))
	return c
}

// marked waits until the bridge has nothing left to do of what it told last, which it does when nobody waits for it any more.
func (f *floor) marked(b *testing.B) {
	b.Helper()
	testkit.Eventually(b, stack.Patience, func(ctx context.Context) error {
		var left int
		err := f.bridge.QueryRow(ctx, "SELECT count(*) FROM outbox WHERE published_at IS NULL").Scan(&left)
		if err == nil && left > 0 {
			err = fmt.Errorf("%d events are not marked as published", left)
		}
		return err
	})
}

// timed does it once, and tells how long it took.
func (c *floorConns) timed(b *testing.B) time.Duration {
	b.Helper()
	began := time.Now()
	require.NoError(b, c.do(b.Context()))
	return time.Since(began)
}

func (c *floorConns) do(ctx context.Context) error {
	if _, err := c.bridge.Exec(ctx, floorRow, c.body); err != nil {
		return err
	}
	confirm, err := c.channel.PublishWithDeferredConfirm("", floorQueue, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: c.body})
	if err != nil {
		return err
	}
	if confirmed, err := confirm.WaitContext(ctx); err != nil || !confirmed {
		return errors.Join(err, errors.New("the broker has not confirmed a message"))
	}
	_, err = c.sessions.Exec(ctx, floorRow, c.body)
	return err
}

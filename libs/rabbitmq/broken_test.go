package rabbitmq

import (
	"log/slog"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/config"
)

func TestWhichPartitionIsBrokenIsFoundOut(t *testing.T) {
	down := &amqp.Error{Code: amqp.InternalError, Server: true}
	c, err := NewConnector(Config{URL: config.Secret("amqp://broker"), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	consumer := NewConsumer(c, ConsumerConfig{Exchange: "events", Partitions: 3}, nil)
	b := &consumer.broken
	connect := func(wantInTurn bool, wantApart ...int) func(n int, answer error) {
		t.Helper()
		inTurn, apart := b.plan()
		assert.Equal(t, wantInTurn, inTurn != nil)
		assert.Len(t, apart, len(wantApart))
		for _, n := range wantApart {
			assert.True(t, apart[n], "partition %d", n)
		}
		return func(n int, answer error) {
			p := &partition{consumer: consumer, number: n, inTurn: inTurn, alone: apart[n]}
			if p.alone {
				p.inTurn = nil
			}
			b.registered(t.Context(), p, answer)
		}
	}

	answer := connect(false)
	for _, e := range []error{amqp.ErrClosed, &amqp.Error{Code: amqp.ConnectionForced, Server: true}} {
		answer(0, e) // an end of the connection that no queue is the reason of
	}
	answer = connect(false)
	answer(1, down)
	answer(2, down) // hears the same when the connection ends
	require.NoError(t, c.Check(), "any of them may be meant")
	answer = connect(true)
	answer(0, nil)
	answer(1, down)
	require.ErrorContains(t, c.Check(), "can't serve: 1")
	answer = connect(true, 1) // another may be broken as well
	answer(0, nil)
	answer(2, nil)
	answer(1, down)
	answer = connect(false, 1)
	answer(1, nil)
	require.NoError(t, c.Check())
	answer(1, down) // again, on the connection of its own
	require.Error(t, c.Check())
	answer = connect(false, 1)
	answer(1, &amqp.Error{Code: amqp.NotFound, Server: true})
	require.NoError(t, c.Check())
	connect(false)
}

package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// eachChannel opens a channel and runs fn on it, and again on another one when that is of no more use, as when the broker closes it over a
// message that it refuses. It ends with the connection, when something that fn relies on was deleted, or with ctx (nil). fn returns why its
// channel ended.
func eachChannel(ctx context.Context, c *Connector, conn *amqp.Connection, what string, fn func(*amqp.Channel) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, time.Second
	attempt := func() (struct{}, error) {
		began := time.Now()
		err := onChannel(conn, what, fn)
		if time.Since(began) > pause.MaxInterval {
			pause.Reset()
		}
		// What isn't there is declared again on the next connection.
		missing, told := serverError(err)
		if conn.IsClosed() || told && missing.Code == amqp.NotFound {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	notify := func(err error, _ time.Duration) {
		c.cfg.Logger.WarnContext(ctx, "a channel has ended, opening another", "connection", c.cfg.Name, "channel", what, "error", err)
	}
	_, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0), backoff.WithNotify(notify))
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to stop, or the connector knows that the connection is gone
	}
	return err
}

func onChannel(conn *amqp.Connection, what string, fn func(*amqp.Channel) error) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel for %s: %w", what, err)
	}
	defer func() { _ = ch.Close() }()
	return fn(ch)
}

// channelEnd says why a channel is closed that was used until ctx ended or the broker closed it.
func channelEnd(ctx context.Context, closed <-chan *amqp.Error) error {
	if e := <-closed; e != nil {
		return e
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return amqp.ErrClosed
}

// lostKind is the error of what was sent on a channel that ended before the broker answered.
func lostKind(reason error) error {
	if e, ok := serverError(reason); ok && e.Recover {
		return ErrRefused // the broker closed the channel, not the connection
	}
	return ErrUnconfirmed
}

// errDrained is the cause of a handler's context that ended after its consumer was told to stop.
var errDrained = errors.New("the time to finish after being told to stop is over")

// drainContext returns the context for what is handled: it ends at once when the channel or connection is gone, and the drain time after
// ctx ended because of a stop, so that what has begun can be committed and acknowledged. release is to be called before ch is closed.
func drainContext(ctx context.Context, ch *amqp.Channel, drain time.Duration) (working context.Context, release func()) {
	working, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
			return
		case e := <-closed:
			cancel(&lostError{closeReason(e)})
			return
		case <-ctx.Done():
		}
		if Lost(ctx) {
			cancel(context.Cause(ctx))
			return
		}
		timer := time.NewTimer(drain)
		defer timer.Stop()
		select {
		case <-done:
		case e := <-closed:
			cancel(&lostError{closeReason(e)})
		case <-timer.C:
			cancel(errDrained)
		}
	}()
	return working, func() {
		close(done)
		<-ended
		cancel(nil)
	}
}

func closeReason(e *amqp.Error) error {
	if e == nil {
		return amqp.ErrClosed
	}
	return e
}

// ended says why deliveries stopped: the channel or connection was closed, or the broker cancelled the consumer, for example because the
// queue is gone. Dialling anew declares and consumes again. It is nil where ctx ended.
func ended(ctx, working context.Context, ch *amqp.Channel, queue string) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to stop, or the connector knows that the connection is gone
	}
	if ch.IsClosed() {
		<-working.Done() // it ends with the channel, and knows why
		return fmt.Errorf("consume from %s: %w", queue, context.Cause(working))
	}
	return fmt.Errorf("consume from %s: the broker cancelled the consumer, as it does when the queue is deleted", queue)
}

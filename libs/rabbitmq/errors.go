package rabbitmq

import (
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Errors of sending. All but ErrUnroutable and ErrRefused may go away by sending again.
var (
	// ErrUnavailable: there is no connection; nothing was sent.
	ErrUnavailable = errors.New("the broker is unavailable")
	// ErrUnconfirmed: the message was sent, and whether the broker has it is not known.
	ErrUnconfirmed = errors.New("the broker did not confirm the message")
	// ErrNacked: the broker could not take the message, for example because a queue is full or has no leader.
	ErrNacked = errors.New("the broker did not take the message")
	// ErrUnroutable: no queue is bound for the message. The broker dropped it.
	ErrUnroutable = errors.New("no queue is bound for the message")
	// ErrRefused: the broker closed the channel over what was sent on it: the user may not send this, or the message breaks a rule.
	// Whatever else was on its way on the channel has the same error, and may or may not have arrived.
	ErrRefused = errors.New("the broker refused what was sent")
	// ErrTimeout: no reply came in time. Whether the request was carried out is not known.
	ErrTimeout = errors.New("no reply came in time")
	// ErrRemote: the other side got the request and failed to carry it out.
	ErrRemote = errors.New("the other side failed")
)

// FatalError is a problem that dialling again can't solve. The program should stop with it; its text says what to do.
type FatalError struct {
	Reason string // what is wrong and what to do
	Err    error  // the cause, may be nil
}

func (e *FatalError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

func (e *FatalError) Unwrap() error { return e.Err }

// Rejected is returned by a Handler for a message that can never be accepted: it is parked on the dead exchange and acknowledged.
type Rejected struct {
	Reason string // a short stable word, the header x-reason and the label of the metric
	Detail string // what exactly, for people; the header x-detail
}

func (e *Rejected) Error() string { return fmt.Sprintf("rejected (%s): %s", e.Reason, e.Detail) }

// fatal returns a FatalError.
func fatal(err error, format string, args ...any) error {
	return &FatalError{Reason: fmt.Sprintf(format, args...), Err: err}
}

// serverError returns the error that the broker itself sent, if err is one.
func serverError(err error) (*amqp.Error, bool) {
	var e *amqp.Error
	if errors.As(err, &e) && e.Server {
		return e, true
	}
	return nil, false
}

// dialError makes errors of connecting that won't go away fatal.
func dialError(err error, user, where string) error {
	e, ok := serverError(err)
	switch {
	case ok && e.Code == amqp.AccessRefused:
		return fatal(err, "the broker at %s does not let user %q in; check the user and password in the AMQP URL", where, user)
	case ok && e.Code == amqp.NotAllowed && strings.Contains(e.Reason, "not found"):
		return fatal(err, "the broker at %s has no such virtual host; create it or correct the AMQP URL", where)
	case ok && e.Code == amqp.NotAllowed && strings.Contains(e.Reason, "access to vhost"):
		return fatal(err, "the broker at %s does not let user %q into the virtual host; grant the permissions or correct the AMQP URL", where, user)
	}
	return fmt.Errorf("connect to the broker at %s: %w", where, err)
}

// consumeError makes errors of starting to consume that won't go away fatal.
func consumeError(err error, queue, user string) error {
	if e, ok := serverError(err); ok && e.Code == amqp.AccessRefused {
		return fatal(err, "user %q may not read queue %s; grant it the permissions that the broker definitions list", user, queue)
	}
	return fmt.Errorf("consume from %s: %w", queue, err)
}

// transientError hides what a handler's error wraps, so that nothing in it can tell the retry to stop.
type transientError struct{ err error }

func (e *transientError) Error() string { return e.err.Error() }

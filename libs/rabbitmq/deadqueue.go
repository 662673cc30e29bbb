package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
)

// Bounds of looking through a dead queue.
const (
	maxHeld     = 1<<16 - 1 // messages at once; AMQP's field for it has 16 bits
	idleTimeout = 5 * time.Second

	returnInterval = 10 * time.Millisecond
)

// DeadQueue is for people who look after the messages that a service's consumer could not accept. Each of its methods works on a
// connection of its own and doesn't try again: who asks sees what went wrong and may ask again. While one looks through the queue, its
// messages are hidden from others who do; at its end they are back, in their order.
type DeadQueue struct {
	connector *Connector
	exchange  string
	ack       func(amqp.Delivery) error // a test crashes here
}

// NewDeadQueue checks the configuration. exchange is the consistent-hash exchange whose consumer parks messages there.
func NewDeadQueue(cfg Config, exchange string) (*DeadQueue, error) {
	c, err := NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return &DeadQueue{connector: c, exchange: exchange, ack: func(d amqp.Delivery) error { return d.Ack(false) }}, nil
}

// User returns the broker user that looks after the queue.
func (q *DeadQueue) User() string { return q.connector.User() }

// List returns the first messages of the queue, the oldest first and at most limit, without their bodies, and how many there are beside
// them.
func (q *DeadQueue) List(ctx context.Context, limit int) (list []ParkedMessage, more int, err error) {
	err = q.walk(ctx, func(_ amqp.Delivery, m ParkedMessage) (bool, error) {
		if len(list) == limit {
			more++
			return false, nil
		}
		m.Body = nil
		list = append(list, m)
		return false, nil
	})
	return list, more, err
}

// Show returns the messages of an ID, none where there isn't one.
func (q *DeadQueue) Show(ctx context.Context, id string) (found []ParkedMessage, err error) {
	err = q.walk(ctx, func(_ amqp.Delivery, m ParkedMessage) (bool, error) {
		if m.ID == id {
			found = append(found, m)
		}
		return false, nil
	})
	return found, err
}

// Requeued says what became of the messages that were asked for.
type Requeued struct {
	Count int
	Left  []LeftParked // what could not be put back and is still parked
}

// LeftParked is a message that could not be put back.
type LeftParked struct{ ID, Why string }

// Requeue puts back the messages for which wanted says so, each into the partition that it came through, the oldest first. A message
// leaves the dead queue when the broker has confirmed that its partition has it: a crash between the two leaves it in both, and its
// consumer drops the repetition. With an error, Requeued tells what was done before it.
func (q *DeadQueue) Requeue(ctx context.Context, wanted func(ParkedMessage) bool) (done Requeued, err error) {
	err = q.onConnection(ctx, func(conn *amqp.Connection) error {
		return q.withPublisher(ctx, conn, func(publish func(Message) error) error {
			return q.walkOn(conn, func(d amqp.Delivery, m ParkedMessage) (bool, error) {
				if !wanted(m) {
					return false, nil
				}
				return q.putBack(d, m, publish, &done)
			})
		})
	})
	return done, err
}

func (q *DeadQueue) putBack(d amqp.Delivery, m ParkedMessage, publish func(Message) error, done *Requeued) (bool, error) {
	if m.Queue == "" {
		done.Left = append(done.Left, LeftParked{m.ID, "it does not say which partition it came through"})
		return false, nil
	}
	err := publish(requeueMessage(m))
	if errors.Is(err, ErrUnroutable) {
		done.Left = append(done.Left, LeftParked{m.ID, "the broker has no queue " + m.Queue})
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("put message %s back: %w", m.ID, err)
	}
	if err := q.ack(d); err != nil {
		return false, fmt.Errorf("take message %s, which was put back, out of the dead queue: %w", m.ID, err)
	}
	done.Count++
	return true, nil
}

// withPublisher runs fn with a function that publishes a message and waits until the broker has confirmed it.
func (q *DeadQueue) withPublisher(ctx context.Context, conn *amqp.Connection, fn func(publish func(Message) error) error) error {
	return onChannel(conn, "publishing", func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return fmt.Errorf("ask for confirms: %w", err)
		}
		channel := newPublishChannel(ch, q.connector.user, q.connector.cfg.Name)
		ctx, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = channel.run(ctx) // why it ended is the outcome of what was on its way
		}()
		defer func() {
			stop()
			<-ended
		}()
		return fn(func(m Message) error {
			ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
			defer cancel()
			one := &publishing{message: m, outcome: make(chan error, 1)}
			if err := channel.hand(ctx, []*publishing{one}); err != nil {
				return err
			}
			return one.wait(ctx)
		})
	})
}

// visitor is shown a message, and tells whether it has acknowledged it; otherwise it stays.
type visitor func(d amqp.Delivery, m ParkedMessage) (acknowledged bool, err error)

func (q *DeadQueue) walk(ctx context.Context, visit visitor) error {
	return q.onConnection(ctx, func(conn *amqp.Connection) error { return q.walkOn(conn, visit) })
}

// walkOn shows the messages that the queue holds at its beginning, in order. What comes meanwhile, such as a message that was put back and
// parked again, is left for the next time. It takes all of them as one consumer, and lets all go at once: a quorum queue keeps what comes
// back apart, puts more of it behind that, and delivers it first, so giving back only some would change the order.
func (q *DeadQueue) walkOn(conn *amqp.Connection, visit visitor) error {
	queue := topology.DeadQueue(q.exchange)
	held := 0
	err := onChannel(conn, "reading "+queue, func(ch *amqp.Channel) error {
		state, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		if err != nil {
			return deadQueueError(err, queue, q.connector.user)
		}
		if state.Messages == 0 {
			return nil
		}
		held, err = q.hold(ch, queue, min(state.Messages, maxHeld), visit)
		return err
	})
	if err != nil || held == 0 {
		return err
	}
	// The broker puts them back after the channel is closed; who looks next, or asks what is there, is to find them.
	return onChannel(conn, "looking at "+queue, func(ch *amqp.Channel) error {
		tick := time.NewTicker(returnInterval)
		defer tick.Stop()
		late := time.NewTimer(idleTimeout) // somebody else has taken them in hand meanwhile
		defer late.Stop()
		for {
			state, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
			if err != nil {
				return deadQueueError(err, queue, q.connector.user)
			}
			if state.Messages >= held {
				return nil
			}
			select {
			case <-tick.C:
			case <-late.C:
				return nil
			}
		}
	})
}

// hold takes up to n messages in hand and shows them; it returns how many of them were not acknowledged.
func (q *DeadQueue) hold(ch *amqp.Channel, queue string, n int, visit visitor) (held int, err error) {
	if err := ch.Qos(n, 0, false); err != nil {
		return 0, deadQueueError(err, queue, q.connector.user)
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	deliveries, err := ch.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		return 0, deadQueueError(err, queue, q.connector.user)
	}
	idle := time.NewTimer(idleTimeout)
	defer idle.Stop()
	for range n {
		idle.Reset(idleTimeout)
		select {
		case d, ok := <-deliveries:
			if !ok {
				return held, fmt.Errorf("read %s: %w", queue, closeReason(<-closed))
			}
			acknowledged, err := visit(d, newParkedMessage(d, q.exchange, q.connector.user))
			if err != nil {
				return held, err
			}
			if !acknowledged {
				held++
			}
		case <-idle.C:
			return held, nil // somebody else looks through the queue and has the rest in hand
		}
	}
	return held, nil
}

// onConnection runs fn on a connection that is closed in order, so that the broker has got every acknowledgement.
func (q *DeadQueue) onConnection(ctx context.Context, fn func(*amqp.Connection) error) error {
	conn, err := q.connector.dial(ctx)
	if err != nil {
		return dialError(err, q.connector.user, q.connector.where)
	}
	// The calls to the broker don't look at ctx: closing the connection makes them return.
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseDeadline(time.Now().Add(closeTimeout)) })
	defer stop()
	err = fn(conn)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	closed := conn.CloseDeadline(time.Now().Add(closeTimeout))
	if err == nil && closed != nil {
		return fmt.Errorf("close the connection to the broker: %w", closed)
	}
	return err
}

func deadQueueError(err error, queue, user string) error {
	if e, ok := serverError(err); ok && e.Code == amqp.NotFound {
		return fatal(err, "there is no queue %s on this virtual host; a service makes it at its first start", queue)
	}
	return consumeError(err, queue, user)
}

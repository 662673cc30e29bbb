package amqp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	hintsUnsent  = 1024  // more are lost
	hintsWaiting = 10000 // at the broker, for one replica; the oldest are lost
	fromReplica  = "replica"
)

// hintBody is a hint on the wire. Replicas of another version may read it: fields are only ever added.
type hintBody struct {
	SessionID string   `json:"sessionId"`
	First     int64    `json:"first"`
	Last      int64    `json:"last"`
	Users     []string `json:"users"`
}

// HintListener takes the hints of other replicas.
type HintListener interface {
	Hinted(hint ports.Hint) // does not wait
	Sweep()                 // hints were lost, or may have been
}

// Hints is ports.Hints over a fanout exchange. Each connection that listens has a queue of its own, which goes with it.
type Hints struct {
	replica string
	user    string
	log     *slog.Logger
	out     chan ports.Hint
	dropped atomic.Int64
}

var _ ports.Hints = (*Hints)(nil)

// NewHints returns hints that go to the other replicas over the broker's connections. To be called before they run.
func NewHints(b *Broker, log *slog.Logger) *Hints {
	h := &Hints{replica: b.cfg.Replica, user: b.publishing.User(), log: log, out: make(chan ports.Hint, hintsUnsent)}
	b.publishing.Serve(h.send)
	return h
}

// Listen has the hints of other replicas given to listener. To be called before the broker's connections run.
func (h *Hints) Listen(b *Broker, listener HintListener) {
	b.consuming.Serve(func(ctx context.Context, conn *amqp.Connection) error { return h.receive(ctx, conn, listener) })
}

// Send implements ports.Hints.
func (h *Hints) Send(hint ports.Hint) {
	select {
	case h.out <- hint:
	default:
		h.dropped.Add(1)
	}
}

// Dropped returns how many hints were not sent, as while the broker is away.
func (h *Hints) Dropped() int64 { return h.dropped.Load() }

// send publishes hints while a connection stands: not persistent, not confirmed.
func (h *Hints) send(ctx context.Context, conn *amqp.Connection) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel for hints: %w", err)
	}
	defer func() { _ = ch.Close() }()
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	for {
		select {
		case <-ctx.Done():
			return nil
		case reason := <-closed:
			return endOf(ctx, "send hints", reason)
		case hint := <-h.out:
			body, err := json.Marshal(hintBody(hint))
			if err != nil {
				return fmt.Errorf("write a hint: %w", err)
			}
			err = ch.PublishWithContext(ctx, topology.HintsExchange, "", false, false, amqp.Publishing{
				ContentType: "application/json", DeliveryMode: amqp.Transient, AppId: appID, UserId: h.user,
				Headers: amqp.Table{fromReplica: h.replica}, Body: body,
			})
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("send a hint: %w", err)
			}
		}
	}
}

// receive takes hints from a queue of this connection's own, whose name no other connection can still hold.
func (h *Hints) receive(ctx context.Context, conn *amqp.Connection, listener HintListener) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel for hints: %w", err)
	}
	defer func() { _ = ch.Close() }()
	queue := topology.HintsQueue(uuid.NewString())
	args := amqp.Table{"x-queue-type": "classic", "x-max-length": int32(hintsWaiting)}
	if _, err := ch.QueueDeclare(queue, false, true, true, false, args); err != nil {
		return fmt.Errorf("declare the queue of hints: %w", err)
	}
	if err := ch.QueueBind(queue, "", topology.HintsExchange, false, nil); err != nil {
		return fmt.Errorf("bind the queue of hints: %w", err)
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	deliveries, err := ch.Consume(queue, h.replica, true, true, false, false, nil)
	if err != nil {
		return fmt.Errorf("take hints: %w", err)
	}
	listener.Sweep() // for what nobody listened to until now
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-deliveries:
			if !ok {
				return endOf(ctx, "take hints", <-closed)
			}
			h.take(ctx, d, listener)
		}
	}
}

func (h *Hints) take(ctx context.Context, d amqp.Delivery, listener HintListener) {
	if d.Headers[fromReplica] == h.replica {
		return
	}
	var body hintBody
	if err := json.Unmarshal(d.Body, &body); err != nil || body.SessionID == "" {
		h.log.WarnContext(ctx, "a hint can't be read, the next sweep finds what it told of", slog.Any("error", err))
		return
	}
	listener.Hinted(ports.Hint(body))
}

// endOf says why a channel ended, nil where it was told to.
func endOf(ctx context.Context, what string, reason *amqp.Error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // The connector knows why.
	}
	if reason == nil {
		return fmt.Errorf("%s: %w", what, amqp.ErrClosed)
	}
	return fmt.Errorf("%s: %w", what, reason)
}

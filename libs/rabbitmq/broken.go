package rabbitmq

import (
	"context"
	"fmt"
	"maps"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// broken knows which partitions of a consumer the broker can't serve. RabbitMQ closes the connection over a queue whose members are damaged
// or stopped (541, INTERNAL_ERROR), which would stop all other partitions with it, again and again.
type broken struct {
	mu      sync.Mutex
	suspect bool         // one was refused, and the answer doesn't tell which
	apart   map[int]bool // were refused, and nothing but time or hands can help them
}

// plan says how to register on a fresh connection: which partitions are to be consumed on connections of their own, and, where one was
// refused and it is to be found out which, the lock by which one registers after the other.
func (b *broken) plan() (inTurn *sync.Mutex, apart map[int]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.suspect {
		inTurn = new(sync.Mutex)
	}
	b.suspect = false
	return inTurn, maps.Clone(b.apart)
}

// registered takes in what the broker said when a partition registered.
func (b *broken) registered(ctx context.Context, p *partition, answer error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.apart)
	e, ok := serverError(answer)
	switch {
	case answer == nil, ok && e.Code == amqp.NotFound: // that is declared again on the next connection
		delete(b.apart, p.number)
	case !ok, e.Code == amqp.ConnectionForced, e.Code == amqp.AccessRefused, b.apart[p.number]:
		return // no word about the queue, or none that is new
	case p.inTurn == nil && !p.alone:
		b.suspect = true
	default:
		if b.apart == nil {
			b.apart = make(map[int]bool)
		}
		b.apart[p.number] = true
		b.suspect = b.suspect || !p.alone // perhaps it is not the only one
		p.consumer.log.ErrorContext(ctx, "the broker can't serve a queue; the partition is tried again on a connection of its own while the "+
			"others go on. If it stays so, the queue is damaged: restart the broker, and if that doesn't help delete the queue, which is "+
			"then declared again", "queue", p.queue, "partition", p.number, "error", answer)
	}
	p.consumer.connector.broken.Add(int64(len(b.apart) - before))
	p.consumer.connector.cfg.Metrics.broken.WithLabelValues(p.consumer.cfg.Exchange).Set(float64(len(b.apart)))
}

// consumeApart consumes a partition on a connection of its own, and on another whenever that is lost, until ctx ends (nil) or the queue is
// to be declared again.
func (p *partition) consumeApart(ctx context.Context, _ *amqp.Connection) error {
	cfg := p.consumer.connector.cfg
	cfg.Name, cfg.Metrics = fmt.Sprintf("%s-partition-%d", cfg.Name, p.number), nil
	own, err := NewConnector(cfg)
	if err != nil {
		return err
	}
	p.inTurn, p.alone = nil, true
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	var missing error
	own.Serve(func(ctx context.Context, conn *amqp.Connection) error {
		err := p.consume(ctx, conn)
		if e, ok := serverError(err); ok && e.Code == amqp.NotFound {
			missing = err
			leave(&lostError{err})
		}
		return err
	})
	if err := own.Run(ctx); err != nil {
		return err
	}
	return missing
}

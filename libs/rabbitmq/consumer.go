package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
)

// Handler handles one message. Messages of one partition come one after the other and in order, those of different partitions at the
// same time.
//
//   - nil: the message is acknowledged. Return it only after the effect is committed.
//   - *Rejected: the message is parked on the dead exchange with the reason, and when the broker has confirmed that, acknowledged.
//   - any other error: handled again in place after a growing pause, with no end, while the partition waits. It is not requeued.
//
// ctx ends with the connection, and some time after the consumer was told to stop; the message then comes again, to whichever consumer
// gets the partition, so handling must be repeatable. A panic is not caught: a message that brings the program down again and again
// ends on the dead exchange by the queue's delivery limit.
type Handler func(ctx context.Context, d Delivery) error

// BatchPublisher is the part of Publisher that a consumer parks messages with.
type BatchPublisher interface {
	PublishBatch(ctx context.Context, messages []Message) []error
}

// ConsumerConfig says what is consumed.
type ConsumerConfig struct {
	// Exchange is the consistent-hash exchange whose partition queues are consumed.
	Exchange   string
	Partitions int
	// Replica tells this process from the others that consume the same partitions. It should be unique, and need not survive a restart.
	Replica string
	// Prefetch is how many messages the broker sends ahead on each partition; 32 unless given.
	Prefetch int
	// Drain is how long a message in hand may take to finish after the consumer was told to stop; 10 s unless given.
	Drain time.Duration
	// Dead publishes what is rejected. It should be on another connector, because the broker blocks connections that publish.
	Dead BatchPublisher
	// Happened returns when what a message tells of happened, and whether it says so; for the lag. Not measured unless given.
	Happened func(Delivery) (time.Time, bool)
	// Measure is how often the queues are counted; 15 s unless given.
	Measure time.Duration
}

// Consumer consumes every partition of an exchange, as one of any number of replicas. The queues have a single active consumer each, and
// every replica registers at each of them with a priority of its own, so that the broker makes the best one active and moves partitions
// when replicas come and go.
type Consumer struct {
	connector *Connector
	cfg       ConsumerConfig
	handle    Handler
	log       *slog.Logger
	broken    broken
}

// NewConsumer makes a consumer on the connection of c, before c runs. The queues must be declared by something that is registered with
// Each on c.
func NewConsumer(c *Connector, cfg ConsumerConfig, handle Handler) *Consumer {
	if cfg.Prefetch <= 0 {
		cfg.Prefetch = 32
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 10 * time.Second
	}
	if cfg.Measure <= 0 {
		cfg.Measure = 15 * time.Second
	}
	consumer := &Consumer{connector: c, cfg: cfg, handle: handle, log: c.cfg.Logger.With("exchange", cfg.Exchange)}
	c.cfg.Metrics.broken.WithLabelValues(cfg.Exchange).Set(0)
	c.Serve(consumer.ConsumeAll)
	c.Serve(consumer.measure)
	return consumer
}

// ConsumeAll consumes all partitions on one connection, but those that the broker can't serve, which it would end the connection over: they
// have connections of their own. It returns nil when it was told to stop and what was in hand is done, otherwise why consuming can't go on
// here; the connector then dials anew.
func (c *Consumer) ConsumeAll(ctx context.Context, conn *amqp.Connection) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		running sync.WaitGroup
		first   error
		once    sync.Once
	)
	inTurn, apart := c.broken.plan()
	for n := range c.cfg.Partitions {
		running.Go(func() {
			p := &partition{consumer: c, number: n, queue: topology.PartitionQueue(c.cfg.Exchange, n), inTurn: inTurn}
			consume := p.consume
			if apart[n] {
				consume = p.consumeApart
			}
			if err := consume(ctx, conn); err != nil {
				once.Do(func() { first = err })
				cancel(&lostError{err})
			}
		})
	}
	running.Wait()
	return first
}

// priority is the rendezvous hash of a replica and a partition: with no word between them all replicas agree which one is best for a
// partition, and when one goes only its partitions move.
func priority(replica string, partition int) int32 {
	h := xxhash.Sum64String(replica + "\x00" + strconv.Itoa(partition))
	return int32(h >> 33) // 31 bits
}

// park gives a rejected message to the dead exchange. It returns nil when the broker has it.
func (c *Consumer) park(ctx context.Context, d Delivery, r *Rejected) error {
	message := deadMessage(c.cfg.Exchange, d, r, time.Now())
	if err := c.cfg.Dead.PublishBatch(ctx, []Message{message})[0]; err != nil {
		return fmt.Errorf("park a rejected message: %w", err)
	}
	c.connector.cfg.Metrics.parked.WithLabelValues(c.cfg.Exchange, r.Reason).Inc()
	c.log.WarnContext(ctx, "a message was rejected and parked on the dead exchange", "reason", r.Reason, "detail", r.Detail,
		"message_id", d.MessageID, "routing_key", d.RoutingKey, "partition", d.Partition)
	return nil
}

// asRejected tells whether a handler's error rejects the message.
func asRejected(err error) (*Rejected, bool) {
	var r *Rejected
	ok := errors.As(err, &r)
	return r, ok
}

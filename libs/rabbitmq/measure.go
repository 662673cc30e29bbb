package rabbitmq

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
)

// settled counts a message that was handled or parked.
func (c *Consumer) settled(d Delivery) {
	metrics := c.connector.cfg.Metrics
	metrics.consumed.WithLabelValues(c.cfg.Exchange).Inc()
	if c.cfg.Happened == nil {
		return
	}
	if at, known := c.cfg.Happened(d); known {
		metrics.lag.WithLabelValues(c.cfg.Exchange).Observe(max(0, time.Since(at).Seconds()))
	}
}

// measure counts from time to time what waits in the partitions and in the dead queue, whichever replica consumes them.
func (c *Consumer) measure(ctx context.Context, conn *amqp.Connection) error {
	queues := []string{topology.DeadQueue(c.cfg.Exchange)}
	for n := range c.cfg.Partitions {
		queues = append(queues, topology.PartitionQueue(c.cfg.Exchange, n))
	}
	return eachChannel(ctx, c.connector, conn, "measuring", func(ch *amqp.Channel) error {
		tick := time.NewTicker(c.cfg.Measure)
		defer tick.Stop()
		for {
			for _, queue := range queues {
				state, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
				if err != nil {
					return fmt.Errorf("count the messages of %s: %w", queue, err)
				}
				c.connector.cfg.Metrics.waiting.WithLabelValues(queue).Set(float64(state.Messages))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
}

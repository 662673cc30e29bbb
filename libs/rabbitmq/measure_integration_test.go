//go:build integration

package rabbitmq

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

// What waits is counted while the consumer is busy, and how late messages were is known when they are handled.
func TestBacklogAndLagAreMeasured(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	c := connector(t, config.Secret(v.URL("sessions")), "consumer")
	DeclareOn(c, topology.Shared(1))
	goOn := make(chan struct{})
	made := time.Now().Add(-time.Hour)
	NewConsumer(c, ConsumerConfig{
		Exchange: topology.SessionsEvents, Partitions: 1, Replica: "a", Prefetch: 1, Dead: publisher, Measure: 10 * time.Millisecond,
		Happened: func(d Delivery) (time.Time, bool) { return made, string(d.Body) != "0" },
	}, func(_ context.Context, d Delivery) error {
		<-goOn
		if string(d.Body) == "2" {
			return &Rejected{Reason: "schema"}
		}
		return nil
	})
	r := start(t, c)
	publishAll(t, publisher, numbered("s", 0, 5))
	metrics := c.cfg.Metrics
	waiting := metrics.waiting.WithLabelValues(topology.PartitionQueue(topology.SessionsEvents, 0))
	dead := metrics.waiting.WithLabelValues(topology.DeadQueue(topology.SessionsEvents))
	require.Eventually(t, func() bool { return testutil.ToFloat64(waiting) == 4 }, patience, 5*time.Millisecond, "all but the one in hand")
	close(goOn)
	require.Eventually(t, func() bool { return testutil.ToFloat64(waiting) == 0 && testutil.ToFloat64(dead) == 1 }, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		return testutil.ToFloat64(metrics.consumed.WithLabelValues(topology.SessionsEvents)) == 5
	}, patience, 5*time.Millisecond)
	r.stop()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.lag)
	families, err := registry.Gather()
	require.NoError(t, err)
	lag := families[0].GetMetric()[0].GetHistogram()
	assert.Equal(t, uint64(4), lag.GetSampleCount(), "those that say when they were made")
	assert.GreaterOrEqual(t, lag.GetSampleSum(), 4*time.Hour.Seconds())
}

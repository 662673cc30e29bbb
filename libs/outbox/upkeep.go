package outbox

import (
	"context"
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// cleanBatch is how many published rows are deleted at once, so that no transaction is long.
const cleanBatch = 1000

type metrics struct {
	backlog   prometheus.Gauge
	oldest    prometheus.Gauge
	held      [Lanes]prometheus.GaugeFunc
	published prometheus.Counter
}

// newMetrics makes the metrics; holds tells whether a lane is this process's now.
func newMetrics(r prometheus.Registerer, holds func(lane int) bool) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "outbox", Name: name, Help: help})
	}
	m := &metrics{
		backlog: gauge("unpublished_rows", "Rows that are committed and not yet published, over all lanes."),
		oldest:  gauge("oldest_unpublished_seconds", "Age of the oldest of them, 0 without any."),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "outbox", Name: "published_total", Help: "Rows that this process has published.",
		}),
	}
	for lane := range m.held {
		m.held[lane] = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "outbox", Name: "held_lanes", ConstLabels: prometheus.Labels{"lane": strconv.Itoa(lane)},
			Help: "1 while this process relays the lane: no two processes do so at the same time.",
		}, func() float64 {
			if holds(lane) {
				return 1
			}
			return 0
		})
	}
	if r != nil {
		r.MustRegister(m.backlog, m.oldest, m.published)
		for _, held := range m.held {
			r.MustRegister(held)
		}
	}
	return m
}

// measure sets the gauges of the backlog.
func (r *Relay) measure(ctx context.Context) error {
	var backlog struct {
		Rows   int64
		Oldest float64
	}
	err := r.opts.DB.WithContext(ctx).Raw(`SELECT count(*) AS rows,
		coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest
		FROM outbox WHERE published_at IS NULL`).Scan(&backlog).Error
	if err != nil {
		return fmt.Errorf("measure the backlog: %w", err)
	}
	r.metrics.backlog.Set(float64(backlog.Rows))
	r.metrics.oldest.Set(max(0, backlog.Oldest))
	return nil
}

// clean deletes what was published long ago, and relays that are gone.
func (r *Relay) clean(ctx context.Context) error {
	db := r.opts.DB.WithContext(ctx)
	keep := fmt.Sprintf("%d milliseconds", r.opts.Keep.Milliseconds())
	for {
		deleted := db.Exec(`DELETE FROM outbox WHERE id IN (
			SELECT id FROM outbox WHERE published_at < clock_timestamp() - ?::interval
			ORDER BY published_at LIMIT ? FOR UPDATE SKIP LOCKED)`, keep, cleanBatch)
		if deleted.Error != nil {
			return fmt.Errorf("delete published rows: %w", deleted.Error)
		}
		if deleted.RowsAffected < cleanBatch {
			break
		}
	}
	if err := db.Exec(`DELETE FROM outbox_relays WHERE expires_at < clock_timestamp() - interval '1 minute'`).Error; err != nil {
		return fmt.Errorf("delete relays that are gone: %w", err)
	}
	return nil
}

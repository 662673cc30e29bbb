// Package metrics counts for Prometheus what the use cases want counted.
package metrics

import "github.com/prometheus/client_golang/prometheus"

// Counters is ports.Counters.
type Counters struct{ taken *prometheus.CounterVec }

// NewCounters registers the counters.
func NewCounters(registerer prometheus.Registerer) *Counters {
	taken := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sessions", Name: "events_taken_total",
		Help: "Events that came in, by what was decided (appended, duplicate, quarantined) and why.",
	}, []string{"decision", "reason"})
	registerer.MustRegister(taken)
	return &Counters{taken: taken}
}

// EventTaken implements ports.Counters.
func (c *Counters) EventTaken(decision, reason string) {
	c.taken.WithLabelValues(decision, reason).Inc()
}

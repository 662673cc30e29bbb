// Package metrics counts for Prometheus what the use cases want counted.
package metrics

import "github.com/prometheus/client_golang/prometheus"

// Counters is ports.Counters.
type Counters struct{ taken, refused, deadlines, deleted *prometheus.CounterVec }

// NewCounters registers the counters.
func NewCounters(registerer prometheus.Registerer) *Counters {
	taken := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sessions", Name: "events_taken_total",
		Help: "Events that came in, by what was decided (appended, duplicate, quarantined) and why.",
	}, []string{"decision", "reason"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sessions", Name: "emissions_refused_total",
		Help: "Events of this service that were refused because they break their contract, by type; what they were about was not stored. A bug.",
	}, []string{"type"})
	deadlines := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sessions", Name: "activation_deadlines_total",
		Help: "Activation deadlines that passed: due each time a session's turn comes, and what became of it (failed, postponed, overtaken).",
	}, []string{"outcome"})
	deleted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sessions", Name: "retention_deleted_total",
		Help: "What was kept long enough and deleted: whole sessions, and quarantined events of sessions that are gone.",
	}, []string{"kind"})
	registerer.MustRegister(taken, refused, deadlines, deleted)
	return &Counters{taken: taken, refused: refused, deadlines: deadlines, deleted: deleted}
}

// EventTaken implements ports.Counters.
func (c *Counters) EventTaken(decision, reason string) {
	c.taken.WithLabelValues(decision, reason).Inc()
}

// EmissionRefused implements ports.Counters.
func (c *Counters) EmissionRefused(kind string) { c.refused.WithLabelValues(kind).Inc() }

// ActivationDeadline implements ports.Counters.
func (c *Counters) ActivationDeadline(outcome string) { c.deadlines.WithLabelValues(outcome).Inc() }

// Deleted implements ports.Counters.
func (c *Counters) Deleted(kind string, count int) {
	c.deleted.WithLabelValues(kind).Add(float64(count))
}

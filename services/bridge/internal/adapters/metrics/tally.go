// Package metrics counts what the bridge does, for Prometheus.
package metrics

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Tally implements ports.Tally.
type Tally struct {
	webhooks, tokens, presence, refused, sessionEvents, roomDeletions, enforcements, eventsMade, emissionsRefused *prometheus.CounterVec
	windows, reconciliations, differences                                                                         *prometheus.CounterVec
	providerReachable, roomsUnanswered, roomsUndeleted, clockOffset                                               prometheus.Gauge

	reconciled atomic.Int64 // when the last pass was completed, in Unix milliseconds; 0 where none is known
}

var _ ports.Tally = (*Tally)(nil)

// NewTally makes the metrics and registers them.
func NewTally(registerer prometheus.Registerer) *Tally {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "bridge", Name: name, Help: help}, labels)
		registerer.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "bridge", Name: name, Help: help})
		registerer.MustRegister(g)
		return g
	}
	t := &Tally{
		webhooks:        counter("webhooks_total", "Genuine webhooks, by kind and what became of them.", "kind", "outcome"),
		refused:         counter("webhooks_refused_total", "Requests that were no genuine webhook, by why.", "reason"),
		tokens:          counter("token_commands_total", "Token commands, by outcome.", "outcome"),
		presence:        counter("presence_commands_total", "Presence commands, by what was answered.", "outcome"),
		sessionEvents:   counter("session_events_total", "Events of sessions that were followed, by type.", "type"),
		roomDeletions:   counter("room_deletions_total", "Attempts to delete a room, by outcome.", "outcome"),
		enforcements:    counter("enforcements_total", "Attempts to have LiveKit remove a participant or set their role, by outcome.", "kind", "outcome"),
		windows:         counter("windows_total", "Room checks, most of them at the end of a grace period, by outcome.", "outcome"),
		reconciliations: counter("reconciliations_total", "Passes that compare all calls with LiveKit, by outcome.", "outcome"),
		differences:     counter("reconcile_differences_total", "Canonical events that a listing led to before any webhook, by type.", "type"),
		eventsMade:      counter("events_total", "Canonical events stored for publishing, by type.", "type"),
		emissionsRefused: counter("emissions_refused_total",
			"Canonical events that were refused because they break their contract, by type; nothing was stored. A bug.", "type"),
		providerReachable: gauge("livekit_reachable", "1 where the last probe of LiveKit's server API was answered."),
		roomsUnanswered:   gauge("rooms_unanswered", "Rooms for which LiveKit gave no answer when it was last asked."),
		roomsUndeleted:    gauge("rooms_undeleted", "Rooms that must go and that several attempts could not delete."),
		clockOffset:       gauge("livekit_clock_offset_seconds", "How far LiveKit's clock is ahead of the bridge's; negative where it is behind."),
	}
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "bridge", Name: "reconcile_age_seconds", Help: "Time since all calls were compared with LiveKit; +Inf where they never were.",
	}, t.reconcileAge))
	return t
}

// Webhook implements ports.Tally.
func (t *Tally) Webhook(kind, outcome string) { t.webhooks.WithLabelValues(kind, outcome).Inc() }

// Refused implements ports.Tally.
func (t *Tally) Refused(reason string) { t.refused.WithLabelValues(reason).Inc() }

// Token implements ports.Tally.
func (t *Tally) Token(outcome string) { t.tokens.WithLabelValues(outcome).Inc() }

// Presence implements ports.Tally.
func (t *Tally) Presence(outcome string) { t.presence.WithLabelValues(outcome).Inc() }

// SessionEvent implements ports.Tally.
func (t *Tally) SessionEvent(kind string) { t.sessionEvents.WithLabelValues(kind).Inc() }

// RoomDeletion implements ports.Tally.
func (t *Tally) RoomDeletion(outcome string) { t.roomDeletions.WithLabelValues(outcome).Inc() }

// Enforcement implements ports.Tally.
func (t *Tally) Enforcement(kind, outcome string) {
	t.enforcements.WithLabelValues(kind, outcome).Inc()
}

// Window implements ports.Tally.
func (t *Tally) Window(outcome string) { t.windows.WithLabelValues(outcome).Inc() }

// Reconciliation implements ports.Tally.
func (t *Tally) Reconciliation(outcome string) { t.reconciliations.WithLabelValues(outcome).Inc() }

// Reconciled implements ports.Tally.
func (t *Tally) Reconciled(ago time.Duration) { t.reconciled.Store(time.Now().Add(-ago).UnixMilli()) }

func (t *Tally) reconcileAge() float64 {
	at := t.reconciled.Load()
	if at == 0 {
		return math.Inf(1)
	}
	return time.Since(time.UnixMilli(at)).Seconds()
}

// RoomsUnanswered implements ports.Tally.
func (t *Tally) RoomsUnanswered(n int) { t.roomsUnanswered.Set(float64(n)) }

// RoomsUndeleted implements ports.Tally.
func (t *Tally) RoomsUndeleted(n int) { t.roomsUndeleted.Set(float64(n)) }

// ClockOffset implements ports.Tally.
func (t *Tally) ClockOffset(d time.Duration) { t.clockOffset.Set(d.Seconds()) }

// Difference implements ports.Tally.
func (t *Tally) Difference(kind string) { t.differences.WithLabelValues(kind).Inc() }

// EventMade implements ports.Tally.
func (t *Tally) EventMade(kind string) { t.eventsMade.WithLabelValues(kind).Inc() }

// EmissionRefused implements ports.Tally.
func (t *Tally) EmissionRefused(kind string) { t.emissionsRefused.WithLabelValues(kind).Inc() }

// ProviderReachable implements ports.Tally.
func (t *Tally) ProviderReachable(reachable bool) {
	t.providerReachable.Set(map[bool]float64{true: 1}[reachable])
}

package wiring

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// timersPoll is the longest that a deadline which nobody knew of is late.
const timersPoll = time.Second

// timers is what becomes due by itself.
type timers struct {
	activations app.ExpireActivations
	retention   app.DeleteOldSessions
}

// timersNeed is what the timers are made of.
type timersNeed struct {
	fx.In

	Settings    Settings
	Activations ports.Activations
	Retention   ports.Retention
	Store       ports.SessionStore
	Presence    ports.MediaPresence
	Clock       ports.Clock
	IDs         ports.IDs
	Counters    ports.Counters
	Log         *slog.Logger
}

func newTimers(n timersNeed) timers {
	return timers{
		activations: app.ExpireActivations{
			Activations: n.Activations, Store: n.Store, Presence: n.Presence, Clock: n.Clock, IDs: n.IDs, Counters: n.Counters, Log: n.Log,
			Timeout: n.Settings.ActivationTimeout, Poll: timersPoll,
		},
		retention: app.DeleteOldSessions{
			Retention: n.Retention, Counters: n.Counters, Log: n.Log, Keep: n.Settings.SessionRetention,
		},
	}
}

func startTimers(k keeper, gate *libpostgres.Gate, t timers) {
	k.keep("activation deadlines", after(gate, forever(t.activations.Run)))
	k.keep("retention", after(gate, forever(t.retention.Run)))
}

// forever makes work of what never fails.
func forever(run func(ctx context.Context)) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		run(ctx)
		return nil
	}
}

// Package wiring is the sessions service on one page: which parts there are, what each is given, and in which order they start and stop.
package wiring

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/httpserver/httpserverfx"
	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/stopfx"
	"github.com/callplane/callplane/libs/telemetry/telemetryfx"
	"github.com/callplane/callplane/services/sessions/internal/adapters/amqp"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/metrics"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/adapters/system"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Service is the name by which logs, metrics and connections call this program.
const Service = "sessions"

// OldestPostgres is the oldest PostgreSQL that is supported: transaction_timeout bounds every transaction from 17 on.
const OldestPostgres = "17"

// Build says what is built.
type Build struct {
	Version string
	Output  io.Writer // of the log
}

// Options is the whole service. Hooks run in the order of the invocations when it starts, and in reverse when it stops: first it takes no
// more requests, then no more events, then what is in the outbox is published, and last the connections are closed.
func Options(settings Settings, build Build) fx.Option {
	proxies, err := settings.trustedProxies()
	if err != nil {
		return fx.Error(fmt.Errorf("TRUSTED_PROXIES %w", err))
	}
	return fx.Options(
		fx.Supply(settings, build,
			telemetryfx.Config{
				Service: Service, Version: build.Version, LogFormat: settings.LogFormat, LogLevel: settings.LogLevel, Output: build.Output,
			},
			httpserverfx.Config{
				Addr: settings.HTTPAddr, AdminAddr: settings.AdminAddr, ShutdownDelay: settings.ShutdownDelay,
				Engine: httpserver.Options{Service: Service, TrustedProxies: proxies},
			},
		),
		fx.StopTimeout(settings.ShutdownTimeout),
		stopfx.Option,
		telemetryfx.LogEvents,
		telemetryfx.Module,
		httpserverfx.Module,
		fx.Provide(
			newReplica,
			newDatabase,
			newGate,
			newBroker,
			newRelay,
			newAuthenticator,
			newLimit,
			newAPI,
			fx.Annotate(newStore,
				fx.As(new(ports.SessionStore)), fx.As(new(ports.IdempotencyStore)), fx.As(new(ports.CursorKeys)),
				fx.As(new(ports.Activations)), fx.As(new(ports.Retention)), fx.As(new(ports.Checkpoints)),
				fx.As(new(ports.Journal)), fx.As(new(followed))),
			newHints,
			live.NewHub,
			fx.Annotate(newTokens, fx.As(new(ports.MediaTokens))),
			fx.Annotate(newPresence, fx.As(new(ports.MediaPresence))),
			fx.Annotate(metrics.NewCounters, fx.As(new(ports.Counters))),
			fx.Annotate(func() system.Clock { return system.Clock{} }, fx.As(new(ports.Clock))),
			fx.Annotate(func() system.IDs { return system.IDs{} }, fx.As(new(ports.IDs))),
			newApplyEvent,
			newTimers,
			rabbitmq.NewMetrics,
		),
		fx.Invoke(
			announce,
			startDatabase,
			startStreams,
			measureStreams,
			startPublishing,
			startRelay,
			startConsuming,
			startTimers,
			startForgettingKeys,
			httpapi.API.Mount,
			addChecks,
			endStreams,
			httpserverfx.Serve,
		),
	)
}

func newDatabase(settings Settings) (*gorm.DB, error) {
	return libpostgres.Open(context.Background(), settings.DatabaseURL.Reveal(), libpostgres.Options{ApplicationName: Service})
}

func newGate(settings Settings, db *gorm.DB, log *slog.Logger) *libpostgres.Gate {
	migrate := ""
	if settings.MigrateOnStart {
		migrate = settings.MigrateDatabaseURL.Reveal()
	}
	return libpostgres.NewGate(libpostgres.GateConfig{
		DB: db, Migrations: postgres.Migrations, MigrationsDir: postgres.MigrationsDir, MigrateURL: migrate, MinVersion: OldestPostgres, Log: log,
	})
}

func newBroker(settings Settings, name replica, log *slog.Logger, measured *rabbitmq.Metrics) (*amqp.Broker, error) {
	return amqp.NewBroker(amqp.Config{
		URL: settings.AMQPURL, Partitions: settings.EventPartitions, Replica: string(name), Deadline: app.TokenDeadline, Logger: log, Metrics: measured,
	})
}

func newRelay(db *gorm.DB, broker *amqp.Broker, name replica, log *slog.Logger, registerer prometheus.Registerer) (*outbox.Relay, error) {
	return outbox.NewRelay(outbox.Options{DB: db, Publisher: broker.Publisher(), Holder: string(name), Logger: log, Registry: registerer})
}

func newStore(db *gorm.DB, relay *outbox.Relay) *postgres.Store {
	return postgres.NewStore(db, topology.EventsExchange, relay.Wake)
}

func newTokens(broker *amqp.Broker, ids ports.IDs) *amqp.Tokens {
	return amqp.NewTokens(broker.Caller(), ids)
}

func newPresence(broker *amqp.Broker, ids ports.IDs) *amqp.Presence {
	return amqp.NewPresence(broker.Caller(), ids)
}

func newApplyEvent(store ports.SessionStore, clock ports.Clock, ids ports.IDs, counters ports.Counters) app.ApplyEvent {
	return app.ApplyEvent{Store: store, Clock: clock, IDs: ids, Counters: counters}
}

// newLimit returns the one of RATE_LIMIT_RPS.
func newLimit(settings Settings, clock ports.Clock) (*httpapi.Limit, error) {
	return httpapi.NewLimit(settings.RateLimitRPS, clock.Now)
}

func newAPI(
	settings Settings, store ports.SessionStore, keys ports.IdempotencyStore, cursors ports.CursorKeys, checkpoints ports.Checkpoints,
	journal ports.Journal, hub *live.Hub, tokens ports.MediaTokens, counters ports.Counters, clock ports.Clock, ids ports.IDs,
	auth httpapi.Authenticator, limit *httpapi.Limit, gate *libpostgres.Gate,
) httpapi.API {
	return httpapi.API{
		Create: app.CreateSession{Store: store, Clock: clock, IDs: ids, Counters: counters, Keys: keys},
		Get:    app.GetSession{Store: store},
		List:   app.ListSessions{Store: store, Cursors: cursors, Journal: journal},
		Update: app.UpdateSession{Store: store, Clock: clock, IDs: ids, Counters: counters},
		Token:  app.IssueToken{Store: store, Tokens: tokens, Clock: clock},
		Events: app.ListEvents{Store: store},

		SetMember:    app.SetMember{Store: store, Clock: clock, IDs: ids, Counters: counters},
		RemoveMember: app.RemoveMember{Store: store, Clock: clock, IDs: ids, Counters: counters},

		PostEvent:         app.PostEvent{Store: store, Clock: clock, IDs: ids, Keys: keys, Counters: counters},
		AdvanceCheckpoint: app.AdvanceCheckpoint{Checkpoints: checkpoints},
		GetCheckpoint:     app.GetCheckpoint{Checkpoints: checkpoints},

		FollowSession: live.FollowSession{Hub: hub, Journal: journal, Clock: clock},
		FollowUser:    live.FollowUser{Hub: hub, Journal: journal, Cursors: app.EventCursors{Keys: cursors}, Clock: clock},

		Auth:    auth,
		Origins: settings.origins(),
		Limit:   limit,
		Ready:   gate.Opened(),
	}
}

// addChecks says what readiness needs: the own database; without the broker reads go on.
func addChecks(health *httpserver.Health, gate *libpostgres.Gate, broker *amqp.Broker) {
	health.Require("postgres", gate.Check)
	health.Degrade("rabbitmq", broker.Check)
}

// announce says what runs; the servers that it runs with say their versions when they are reached.
func announce(build Build, log *slog.Logger, name replica) {
	log.Info("starting", slog.String("version", build.Version), slog.String("go_version", runtime.Version()), slog.String("replica", string(name)))
}

// Package wiring puts the service together: which adapter stands behind which port, what runs from
// start to stop, and in what order it stops.
package wiring

import (
	"context"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/httpserver/httpserverfx"
	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/stopfx"
	"github.com/callplane/callplane/libs/telemetry/telemetryfx"
	"github.com/callplane/callplane/services/bridge/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/metrics"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Build is what the program knows of itself.
type Build struct {
	Version string
	Output  io.Writer // of the log
}

// Options are the whole service.
func Options(s Settings, b Build) fx.Option {
	return fx.Options(
		fx.Supply(s, b),
		fx.StopTimeout(s.ShutdownTimeout),
		fx.Provide(telemetryConfig, httpConfig, newReplica),
		stopfx.Option, telemetryfx.Module, telemetryfx.LogEvents, httpserverfx.Module,

		// What is outside, each behind its port.
		fx.Provide(
			openDatabase, newGate,
			fx.Annotate(newStore, fx.As(new(ports.Mappings)), fx.As(new(ports.MappingReader)), fx.As(new(ports.OldMappings)),
				fx.As(new(ports.RoomDeletions)), fx.As(new(ports.PermissionSyncs)), fx.As(new(ports.Receipts)),
				fx.As(new(ports.RoomChecks)), fx.As(new(ports.ReconcileLease)), fx.As(new(ports.MappingSurvey))),
			fx.Annotate(func(r prometheus.Registerer) *metrics.Tally { return metrics.NewTally(r) }, fx.As(new(ports.Tally))),
			fx.Annotate(newRooms, fx.As(fx.Self()), fx.As(new(ports.MediaRooms)), fx.As(new(ports.MediaParticipants)), fx.As(new(ports.MediaPresence)),
				fx.As(new(ports.MediaListings))),
			fx.Annotate(newTokens, fx.As(new(ports.Tokens))),
			fx.Annotate(newWebhookReader, fx.As(new(ports.WebhookReader))),
			newProbe, newConnections, newPublisher, newRelay, newBell, newNudges,
		),
		// The use cases.
		fx.Provide(newHandleWebhook, newIssueToken, newShowPresence, newApplySessionEvent, newDeleteRooms, newSyncPermissions,
			newInspect, newReconcile, newCheckRooms, newForgetting),
		// What comes in.
		fx.Provide(newWebhooks),

		// Started from the top, stopped from the bottom: first nothing more is taken in, then what
		// has been decided goes out, then the connections are closed.
		fx.Invoke(watchDatabase, logVersions, runPublisher, runRelay, consumeEvents, serveCommands, runIntake, checkHealth,
			httpapi.Webhooks.Mount, httpserverfx.Serve),
	)
}

// watchDatabase stops the application where the database can't be worked with; the error says what
// to do.
func watchDatabase(lifecycle fx.Lifecycle, stopper fx.Shutdowner, gate *libpostgres.Gate, log *slog.Logger) {
	watch := &background{name: "database", log: log, stopper: stopper, work: []func(context.Context) error{
		func(ctx context.Context) error {
			select {
			case err := <-gate.Fatal():
				return err
			case <-ctx.Done():
				return nil
			}
		},
	}}
	lifecycle.Append(watch.hook())
}

func runPublisher(lifecycle fx.Lifecycle, stopper fx.Shutdowner, c connections, _ *rabbitmq.Publisher, log *slog.Logger) {
	b := &background{name: "publisher", log: log, stopper: stopper, work: []func(context.Context) error{c.publish.Run}}
	lifecycle.Append(b.hook())
}

func runRelay(lifecycle fx.Lifecycle, stopper fx.Shutdowner, relay *outbox.Relay, gate *libpostgres.Gate, log *slog.Logger) {
	b := &background{name: "relay", ready: gate.Opened(), log: log, stopper: stopper, work: []func(context.Context) error{relay.Run}}
	lifecycle.Append(b.hook())
}

// intake is everything that takes in work or finds it, other than HTTP.
type intake struct {
	fx.In

	Connections connections
	Deletions   *app.DeleteRooms
	Permissions *app.SyncPermissions
	Checks      *app.CheckRooms
	Reconcile   *app.Reconcile
	Old         forgetting
	Probe       *livekit.Probe
	Gate        *libpostgres.Gate
	DB          *gorm.DB
}

func runIntake(lifecycle fx.Lifecycle, stopper fx.Shutdowner, in intake, log *slog.Logger) {
	probe := &background{name: "probe", log: log, stopper: stopper, work: []func(context.Context) error{forever(in.Probe.Run)}}
	work := &background{name: "intake", ready: in.Gate.Opened(), log: log, stopper: stopper, work: []func(context.Context) error{
		in.Connections.consume.Run, in.Connections.commands.Run, forever(in.Deletions.Run), forever(in.Permissions.Run),
		forever(in.Checks.Run), forever(in.Reconcile.Run),
	}}
	for _, old := range in.Old {
		work.work = append(work.work, forever(old.Run))
	}
	lifecycle.Append(probe.hook())
	lifecycle.Append(work.hook())
}

func checkHealth(health *httpserver.Health, gate *libpostgres.Gate, c connections, probe *livekit.Probe) {
	health.Require("postgres", gate.Check)
	health.Degrade("rabbitmq", c.check)
	health.Degrade("livekit", probe.Check)
}

func newStore(db *gorm.DB, relay *outbox.Relay) *postgres.Store {
	return postgres.NewStore(db, relay.Hand)
}

package wiring

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/httpserver/httpserverfx"
	"github.com/callplane/callplane/libs/outbox"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/telemetry/telemetryfx"
	"github.com/callplane/callplane/services/bridge/internal/adapters/amqp"
	"github.com/callplane/callplane/services/bridge/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres/migrations"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Service is the name of this service: of its broker user, in logs and in traces.
const Service = "bridge"

// The oldest servers that the service runs on.
const (
	MinPostgres = "17"
	MinRabbitMQ = "4.0"
)

const (
	probeInterval    = 10 * time.Second
	checksPoll       = time.Second
	providerPoll     = 5 * time.Second // of the lists of what the provider is still to be told
	receiptsInterval = time.Hour
	mappingsInterval = time.Hour
)

func telemetryConfig(s Settings, b Build) telemetryfx.Config {
	return telemetryfx.Config{Service: Service, Version: b.Version, LogFormat: s.Log.Format, LogLevel: s.Log.Level, Output: b.Output}
}

func httpConfig(s Settings) httpserverfx.Config {
	return httpserverfx.Config{
		Addr: s.HTTP.Addr, AdminAddr: s.AdminAddr, ShutdownDelay: s.ShutdownDelay, Engine: httpserver.Options{Service: Service},
	}
}

// replica names this process among those of the service; each start has another name.
type replica string

func newReplica() replica {
	host, err := os.Hostname()
	if err != nil {
		host = Service
	}
	return replica(host + "-" + strings.SplitN(uuid.NewString(), "-", 2)[0])
}

func openDatabase(lifecycle fx.Lifecycle, s Settings) (*gorm.DB, error) {
	db, err := postgres.Open(context.Background(), s.Database.URL.Reveal(), postgres.Options{ApplicationName: Service})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	lifecycle.Append(fx.StopHook(func() error { return postgres.Close(db) }))
	return db, nil
}

func newGate(lifecycle fx.Lifecycle, s Settings, db *gorm.DB, log *slog.Logger) *postgres.Gate {
	config := postgres.GateConfig{DB: db, Migrations: migrations.Files, MigrationsDir: migrations.Dir, MinVersion: MinPostgres, Log: log}
	if s.Database.MigrateOnStart {
		config.MigrateURL = s.Database.MigrateURL.Reveal()
	}
	gate := postgres.NewGate(config)
	lifecycle.Append(fx.StartStopHook(gate.Start, gate.Stop))
	return gate
}

// connections are the service's connections to the broker. What publishes is kept apart from what
// consumes, because the broker holds up connections that publish too fast.
type connections struct {
	publish, consume, commands *rabbitmq.Connector
}

func newConnections(s Settings, log *slog.Logger, registerer prometheus.Registerer) (connections, error) {
	var c connections
	metrics := rabbitmq.NewMetrics(registerer)
	for _, one := range []struct {
		purpose string
		into    **rabbitmq.Connector
	}{{"publish", &c.publish}, {"consume", &c.consume}, {"commands", &c.commands}} {
		connector, err := rabbitmq.NewConnector(rabbitmq.Config{
			URL: s.Broker.URL, Name: Service + "-" + one.purpose, MinVersion: MinRabbitMQ, Logger: log, Metrics: metrics,
		})
		if err != nil {
			return c, fmt.Errorf("AMQP_URL: %w", err)
		}
		rabbitmq.DeclareOn(connector, topology.Shared(s.Broker.Partitions))
		*one.into = connector
	}
	return c, nil
}

func (c connections) all() []*rabbitmq.Connector {
	return []*rabbitmq.Connector{c.publish, c.consume, c.commands}
}

// check is for readiness: nil while all that are wanted stand and serve all partitions; without the
// database not all are.
func (c connections) check(context.Context) error {
	for _, connector := range c.all() {
		if err := connector.Check(); err != nil {
			return err
		}
	}
	return nil
}

func newPublisher(c connections) *rabbitmq.Publisher {
	return rabbitmq.NewPublisher(c.publish, Service)
}

func newRelay(db *gorm.DB, p *rabbitmq.Publisher, name replica, log *slog.Logger, registerer prometheus.Registerer) (*outbox.Relay, error) {
	return outbox.NewRelay(outbox.Options{DB: db, Publisher: p, Holder: string(name), Logger: log, Registry: registerer})
}

// newNudges rings the bell of the room checks, not the use case itself, which has nudges of its
// own.
func newNudges(deletions *app.DeleteRooms, permissions *app.SyncPermissions, checks *app.Bell) ports.Nudges {
	return ports.Nudges{DeleteRooms: deletions.Wake, Enforce: permissions.Wake, Expire: checks.Wake}
}

func newBell() *app.Bell { return &app.Bell{} }

func newInspect(s Settings, m ports.Mappings, participants ports.MediaParticipants, tally ports.Tally, nudges ports.Nudges) app.Inspect {
	return app.Inspect{
		Mappings: m, Participants: participants, Tally: tally, Nudges: nudges, Now: time.Now, Policy: s.LiveKit.policy(),
	}
}

// seen is what the use cases need that compare what is stored with LiveKit.
type seen struct {
	fx.In

	Inspect  app.Inspect
	Mappings ports.Mappings
	Reader   ports.MappingReader
	Media    ports.MediaListings
	Tally    ports.Tally
	Nudges   ports.Nudges
	Log      *slog.Logger
}

func newCheckRooms(in seen, checks ports.RoomChecks, bell *app.Bell) *app.CheckRooms {
	return &app.CheckRooms{
		Bell: bell, List: checks, Reader: in.Reader, Media: in.Media, Inspect: in.Inspect, Tally: in.Tally, Log: in.Log,
		Poll: checksPoll,
	}
}

func newReconcile(s Settings, in seen, lease ports.ReconcileLease, survey ports.MappingSurvey, name replica) *app.Reconcile {
	return &app.Reconcile{
		Lease: lease, Survey: survey, Mappings: in.Mappings, Media: in.Media, Inspect: in.Inspect, Tally: in.Tally,
		Nudges: in.Nudges, Log: in.Log, Holder: string(name), Interval: s.LiveKit.Reconcile, Liveness: s.LiveKit.liveness(),
	}
}

// provider is LiveKit, as the use cases need it that hold it to what is desired.
type provider struct {
	fx.In

	Rooms        ports.MediaRooms
	Participants ports.MediaParticipants
	Media        ports.MediaListings
	Tally        ports.Tally
	Log          *slog.Logger
}

func newDeleteRooms(list ports.RoomDeletions, reader ports.MappingReader, in provider) *app.DeleteRooms {
	return &app.DeleteRooms{
		Deletions: list, Rooms: in.Rooms, Media: in.Media, Participants: in.Participants, Reader: reader, Tally: in.Tally, Log: in.Log,
		Poll: providerPoll,
	}
}

func newSyncPermissions(list ports.PermissionSyncs, in provider) *app.SyncPermissions {
	return &app.SyncPermissions{
		List: list, Participants: in.Participants, Media: in.Media, Tally: in.Tally, Log: in.Log, Poll: providerPoll,
	}
}

func newRooms(lifecycle fx.Lifecycle, s Settings) *livekit.Rooms {
	rooms := livekit.NewRooms(s.LiveKit.APIURL, s.LiveKit.APIKey, s.LiveKit.APISecret)
	lifecycle.Append(fx.StopHook(rooms.Close))
	return rooms
}

// newProbe has all calls compared with LiveKit as soon as it is back.
func newProbe(rooms *livekit.Rooms, tally ports.Tally, reconcile *app.Reconcile, log *slog.Logger) *livekit.Probe {
	away := false
	report := func(reachable bool) {
		tally.ProviderReachable(reachable)
		if away && reachable {
			reconcile.Wake()
		}
		away = !reachable
	}
	return livekit.NewProbe(livekit.ProbeConfig{
		Ping: rooms.Ping, ClockOffset: rooms.ClockOffset, Reachable: report, Offset: tally.ClockOffset, Log: log, Interval: probeInterval,
	})
}

func newTokens(s Settings) *livekit.Tokens {
	return livekit.NewTokens(livekit.TokenConfig{
		APIKey: s.LiveKit.APIKey, APISecret: s.LiveKit.APISecret, PublicURL: s.LiveKit.PublicURL,
		EmptyTimeout: s.LiveKit.EmptyTimeout, DepartureTimeout: s.LiveKit.DepartureTimeout, Now: time.Now,
	})
}

func newWebhookReader(s Settings) (*livekit.WebhookReader, error) {
	keys, err := s.LiveKit.webhookKeys()
	if err != nil {
		return nil, fmt.Errorf("LIVEKIT_WEBHOOK_KEYS %w", err)
	}
	return livekit.NewWebhookReader(keys), nil
}

func newWebhooks(reader ports.WebhookReader, handle app.HandleWebhook, tally ports.Tally, gate *postgres.Gate) httpapi.Webhooks {
	return httpapi.Webhooks{Reader: reader, Handle: handle, Tally: tally, Open: gate.Opened()}
}

func newHandleWebhook(s Settings, m ports.Mappings, tally ports.Tally, nudges ports.Nudges) app.HandleWebhook {
	return app.HandleWebhook{Mappings: m, Tally: tally, Nudges: nudges, Now: time.Now, Policy: s.LiveKit.policy()}
}

func newIssueToken(m ports.Mappings, tokens ports.Tokens, tally ports.Tally, nudges ports.Nudges) app.IssueToken {
	return app.IssueToken{Mappings: m, Tokens: tokens, Tally: tally, Nudges: nudges}
}

func newShowPresence(rooms ports.MediaPresence, in provider, m ports.MappingReader) app.ShowPresence {
	return app.ShowPresence{Rooms: rooms, Participants: in.Participants, Mappings: m, Tally: in.Tally}
}

func newApplySessionEvent(m ports.Mappings, tally ports.Tally, nudges ports.Nudges) app.ApplySessionEvent {
	return app.ApplySessionEvent{Mappings: m, Tally: tally, Nudges: nudges}
}

// forgetting is all that goes once it is old.
type forgetting []app.Forget

func newForgetting(receipts ports.Receipts, mappings ports.OldMappings, log *slog.Logger) forgetting {
	return forgetting{
		app.ForgetReceipts(receipts, time.Now, log, receiptsInterval), app.ForgetMappings(mappings, time.Now, log, mappingsInterval),
	}
}

// consumeEvents and serveCommands put what handles messages on the connections, before these are
// dialled.
func consumeEvents(s Settings, c connections, follow app.ApplySessionEvent, dead *rabbitmq.Publisher, name replica) {
	rabbitmq.NewConsumer(c.consume, rabbitmq.ConsumerConfig{
		Exchange: topology.BridgeEvents, Partitions: s.Broker.Partitions, Replica: string(name), Dead: dead,
		Happened: happened,
	}, amqp.FollowSessions(follow))
}

func happened(d rabbitmq.Delivery) (time.Time, bool) { return events.Happened(d.Body) }

func serveCommands(c connections, issue app.IssueToken, show app.ShowPresence, log *slog.Logger) {
	rabbitmq.NewRPCServer(c.commands, Service, amqp.CommandServer(), amqp.ServeCommands(amqp.Commands{Token: issue, Presence: show}, log))
}

func logVersions(b Build, c connections, log *slog.Logger) {
	log.Info("starting", slog.String("version", b.Version), slog.String("go_version", runtime.Version()),
		slog.String("livekit_sdk_version", livekit.SDKVersion), slog.String("min_postgres", MinPostgres), slog.String("min_rabbitmq", MinRabbitMQ))
	amqp.LogVersion(c.publish, log)
}

package wiring

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"go.uber.org/fx"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/adapters/amqp"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// replica tells this process from all others that ever run.
type replica string

// newReplica names the host, for people, and is unique over restarts.
func newReplica() replica {
	host, err := os.Hostname()
	if err != nil {
		host = Service
	}
	return replica(host + "-" + uuid.NewString())
}

// background runs work in a goroutine from start to stop. Work that fails ends the program with status 1.
type background struct {
	name    string
	work    func(ctx context.Context) error
	log     *slog.Logger
	stopper fx.Shutdowner
}

// keeper makes background work.
type keeper struct {
	fx.In

	Lifecycle fx.Lifecycle
	Stopper   fx.Shutdowner
	Log       *slog.Logger
}

// keep registers work to run from start to stop; stopping waits for it to return.
func (k keeper) keep(name string, work func(ctx context.Context) error) {
	b := background{name: name, work: work, log: k.Log, stopper: k.Stopper}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	k.Lifecycle.Append(fx.Hook{
		OnStart: func(context.Context) error {
			go func() {
				defer close(done)
				b.run(ctx)
			}()
			return nil
		},
		OnStop: func(stopping context.Context) error {
			cancel()
			select {
			case <-done:
				return nil
			case <-stopping.Done():
				return fmt.Errorf("stop %s: %w", name, stopping.Err())
			}
		},
	})
}

func (b background) run(ctx context.Context) {
	err := b.work(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	b.log.ErrorContext(ctx, "the service can't go on and stops", slog.Any("error", err), slog.String("part", b.name))
	_ = b.stopper.Shutdown(fx.ExitCode(1)) // It fails only where the program is stopping already.
}

// startDatabase waits for the database, migrates and checks it; what needs it waits for the gate.
func startDatabase(k keeper, gate *libpostgres.Gate, db *gorm.DB) {
	k.Lifecycle.Append(fx.StopHook(func() error { return libpostgres.Close(db) }))
	k.keep("database", gate.Run)
}

func startPublishing(k keeper, broker *amqp.Broker) {
	k.keep("publishing", broker.RunPublishing)
}

func startRelay(k keeper, gate *libpostgres.Gate, relay *outbox.Relay) {
	k.keep("outbox", after(gate, relay.Run))
}

func startConsuming(k keeper, gate *libpostgres.Gate, broker *amqp.Broker, apply app.ApplyEvent) {
	broker.Consume(amqp.NewHandler(apply))
	k.keep("consuming", after(gate, broker.RunConsuming))
}

// keysCleaned is how often old idempotency keys are removed.
const keysCleaned = 10 * time.Minute

func startForgettingKeys(k keeper, gate *libpostgres.Gate, keys ports.IdempotencyStore, clock ports.Clock, log *slog.Logger) {
	k.keep("idempotency keys", after(gate, app.ForgetKeys{Store: keys, Clock: clock, Log: log, Every: keysCleaned}.Run))
}

// after returns work that begins when the database is ready.
func after(gate *libpostgres.Gate, work func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := gate.Wait(ctx); err != nil {
			return err
		}
		return work(ctx)
	}
}

package wiring

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.uber.org/fx"

	"github.com/callplane/callplane/libs/config"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq/deadcommand"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
)

// Serve runs the service until it is told to stop, and returns the status to exit with.
func Serve(ctx context.Context, settings Settings, build Build) (int, error) {
	service := fx.New(Options(settings, build))
	if err := service.Err(); err != nil {
		return 1, fmt.Errorf("set the service up: %w", err)
	}
	// A service that is told to stop while it starts is up in a moment, and then stops as always.
	starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), service.StartTimeout())
	defer cancel()
	if err := service.Start(starting); err != nil {
		return 1, fmt.Errorf("start: %w", err)
	}
	status := 0
	select {
	case signal := <-service.Wait():
		status = signal.ExitCode
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), service.StopTimeout())
	defer cancel()
	if err := service.Stop(stopping); err != nil {
		return 1, fmt.Errorf("stop: %w", err)
	}
	return status, nil
}

// migrateSettings are all that migrating needs.
type migrateSettings struct {
	MigrateDatabaseURL config.Secret `env:"MIGRATE_DATABASE_URL,required" validate:"url" help:"PostgreSQL URL, as the role that owns the schema"`
}

// Migrate brings the schema up to date.
func Migrate(ctx context.Context, environ []string) error {
	settings, err := config.Load[migrateSettings](environ)
	if err != nil {
		return err
	}
	return libpostgres.Migrate(ctx, settings.MigrateDatabaseURL.Reveal(), postgres.Migrations, postgres.MigrationsDir)
}

// Usage writes what --help shows.
func Usage(w io.Writer) error {
	_, err := fmt.Fprintf(w, `The sessions service: the public API of calls and the authority over their life.

Usage: sessions [command]

Commands:
  serve        run the service (default)
  migrate      bring the database schema up to date, and exit
  version      show the version
  healthcheck  ask the service on this machine whether it is ready; exit 0 or 1
  verify       compare every stored session with its log, or one with --session ID; exit 1 where one differs
  quarantine   list [--session ID] [--limit N] [--json]: what came in and made no valid change, the latest first
  help         show this
%s
Settings, by environment (secrets also as <NAME>_FILE, the path of a file):
`, deadcommand.Usage)
	return errors.Join(err, config.Usage[Settings](w), telemetryUsage(w))
}

func telemetryUsage(w io.Writer) error {
	_, err := fmt.Fprintln(w, "  OTEL_*  the standard settings of OpenTelemetry; nothing is exported unless one names an exporter or endpoint")
	return err
}

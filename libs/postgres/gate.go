package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

// ErrNotOpen says that the database has not been reached, migrated and checked yet since the start.
var ErrNotOpen = errors.New("the database is not ready yet")

// GateConfig says what has to hold before work on a database may begin.
type GateConfig struct {
	DB            *gorm.DB
	Migrations    fs.FS
	MigrationsDir string
	MigrateURL    string // of the role that owns the schema; empty: don't migrate, wait until somebody has
	MinVersion    string // oldest supported server, "17"
	Log           *slog.Logger
}

// Gate is the start of a service's database, done in the background: it waits for the server with backoff, migrates if it shall, checks
// the server's version and the schema, and then opens. A server that is away is waited for without end; one that is too old or refuses the
// user, or a migration that fails for its own reasons, is fatal.
type Gate struct {
	config GateConfig
	opened chan struct{}
	fatal  chan error
	once   sync.Once
	stop   context.CancelFunc
	done   chan struct{}
}

// NewGate returns a gate that is closed until Start or Run.
func NewGate(config GateConfig) *Gate {
	return &Gate{config: config, opened: make(chan struct{}), fatal: make(chan error, 1), done: make(chan struct{})}
}

// Start begins the work in a goroutine that Stop ends.
func (g *Gate) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.stop = cancel
	go func() {
		defer close(g.done)
		if err := g.Run(ctx); err != nil && ctx.Err() == nil {
			g.fatal <- err
		}
	}()
}

// Stop ends what Start began and waits for it, until ctx ends.
func (g *Gate) Stop(ctx context.Context) error {
	if g.stop == nil {
		return nil
	}
	g.stop()
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the database's start: %w", ctx.Err())
	}
}

// Fatal yields one error when the service must not run on this database; its text says what to do.
func (g *Gate) Fatal() <-chan error { return g.fatal }

// Opened is closed once work may begin.
func (g *Gate) Opened() <-chan struct{} { return g.opened }

// Wait returns nil once work may begin, or the context's error.
func (g *Gate) Wait(ctx context.Context) error {
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the database: %w", ctx.Err())
	}
}

// Check is for readiness: ErrNotOpen before work may begin, then whether the server answers and has the schema.
func (g *Gate) Check(ctx context.Context) error {
	select {
	case <-g.opened:
	default:
		return ErrNotOpen
	}
	return SchemaCurrent(ctx, g.config.DB, g.config.Migrations, g.config.MigrationsDir)
}

// Run does the work of Start in the caller's goroutine: nil once open, otherwise the fatal error or the context's.
func (g *Gate) Run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 5*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, g.attempt(ctx) },
		backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, next time.Duration) {
			g.config.Log.WarnContext(ctx, "database not ready, trying again", slog.Any("error", err), slog.Duration("in", next))
		}))
	if err != nil {
		return err
	}
	g.once.Do(func() { close(g.opened) })
	return nil
}

// attempt goes through all conditions once. An error that waiting doesn't cure is marked permanent.
func (g *Gate) attempt(ctx context.Context) error {
	version, err := CheckVersion(ctx, g.config.DB, g.config.MinVersion)
	if err != nil {
		return permanentUnlessTransient(err)
	}
	if g.config.MigrateURL != "" {
		if err := Migrate(ctx, g.config.MigrateURL, g.config.Migrations, g.config.MigrationsDir); err != nil {
			return permanentUnlessTransient(err)
		}
	}
	err = SchemaCurrent(ctx, g.config.DB, g.config.Migrations, g.config.MigrationsDir)
	var old *SchemaError
	if errors.As(err, &old) {
		return err // Somebody else migrates.
	}
	if err != nil {
		return permanentUnlessTransient(err)
	}
	g.config.Log.InfoContext(ctx, "database ready", slog.String("postgres_version", version))
	return nil
}

func permanentUnlessTransient(err error) error {
	if IsTransient(err) {
		return err
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && isRefusal(pgErr.Code) {
		err = fmt.Errorf("%w; check the user, the password and the database of the database URLs", err)
	}
	return backoff.Permanent(err)
}

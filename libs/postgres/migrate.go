package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/gorm"
)

// Migrate brings the schema of the database at url up to the SQL migrations in dir of fsys, as the role in url, which must own the schema.
// Any number of replicas may call it at once: a leased row in goose's lock table lets one of them work while the others wait, and a
// holder that died gives way when its lease ends (30 s).
func Migrate(ctx context.Context, url string, fsys fs.FS, dir string) error {
	migrations, err := fs.Sub(fsys, dir)
	if err != nil {
		return fmt.Errorf("migrate: open %s: %w", dir, err)
	}
	pool, err := openPool(url, Options{ApplicationName: "migrate", MaxOpenConns: 4}.withDefaults())
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer pool.Close() //nolint:errcheck // Nothing is in hand any more.
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableLockTimeout(250*time.Millisecond, 1200), // 5 min, for the longest migration of another replica
		lock.WithTableUnlockTimeout(250*time.Millisecond, 20),
	)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, migrations, goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate: read migrations: %w", err)
	}
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		_, err := provider.Up(ctx)
		if err != nil && !isCreateRace(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(5))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// isCreateRace tells that two CREATE TABLE IF NOT EXISTS of goose's own tables met, which PostgreSQL reports to one of them.
func isCreateRace(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == uniqueViolation && pgErr.SchemaName == "pg_catalog"
}

// SchemaError says that the database lacks migrations that this program needs. A newer schema is no error: migrations expand first, so that
// the version before goes on working.
type SchemaError struct {
	Version int64 // of the database; 0 before the first migration
	Wanted  int64 // of the program
}

// Error says what to do.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("the database schema is at version %d, this program needs %d: run its migrate command, or start it with MIGRATE_ON_START=true", e.Version, e.Wanted)
}

// SchemaCurrent returns nil where every migration in dir of fsys is applied to db, and a *SchemaError where one is missing. It only reads, so
// the service's own role can do it.
func SchemaCurrent(ctx context.Context, db *gorm.DB, fsys fs.FS, dir string) error {
	wanted, err := latestMigration(fsys, dir)
	if err != nil {
		return err
	}
	var exists bool
	if err := db.WithContext(ctx).Raw("SELECT to_regclass('goose_db_version') IS NOT NULL").Row().Scan(&exists); err != nil {
		return fmt.Errorf("look for the schema version: %w", err)
	}
	if !exists {
		return &SchemaError{Wanted: wanted}
	}
	var version int64
	if err := db.WithContext(ctx).Raw("SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Row().Scan(&version); err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	if version < wanted {
		return &SchemaError{Version: version, Wanted: wanted}
	}
	return nil
}

// latestMigration returns the highest version among the SQL files in dir.
func latestMigration(fsys fs.FS, dir string) (int64, error) {
	files, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	var latest int64
	for _, file := range files {
		if version, err := goose.NumericComponent(file.Name()); err == nil {
			latest = max(latest, version)
		}
	}
	if latest == 0 {
		return 0, fmt.Errorf("read migrations: %s holds none", dir)
	}
	return latest, nil
}

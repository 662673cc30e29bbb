// Package postgres opens, migrates and checks a service's PostgreSQL database, and tells its errors apart.
package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	gormpg "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Options bound what a service takes of its database server. A zero field takes the default in brackets.
type Options struct {
	ApplicationName string        // shown in pg_stat_activity
	MaxOpenConns    int           // [20]
	MaxIdleConns    int           // [MaxOpenConns], so that a burst doesn't pay for connecting again and again
	ConnMaxLifetime time.Duration // [30 min], so that a moved server is found
	ConnMaxIdleTime time.Duration // [5 min]
	ConnectTimeout  time.Duration // for one attempt to connect [5 s]
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxOpenConns, 20)
	setDefault(&o.MaxIdleConns, o.MaxOpenConns)
	setDefault(&o.ConnMaxLifetime, 30*time.Minute)
	setDefault(&o.ConnMaxIdleTime, 5*time.Minute)
	setDefault(&o.ConnectTimeout, 5*time.Second)
	return o
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Open returns a pool for the database at url (a libpq URL or connection string). It connects when first used, so the server need not be
// there yet. Statements are prepared once a connection (by pgx, which also notices a statement that a migration made stale); a single
// statement is not wrapped in a transaction; gorm logs nothing, as errors are the caller's; each statement is a span without its values. What
// runs often reads with Find, Take or Row: Scan writes the statement out with all its values each time, for a log that nobody keeps.
func Open(_ context.Context, url string, options Options) (*gorm.DB, error) {
	pool, err := openPool(url, options.withDefaults())
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(gormpg.New(gormpg.Config{Conn: pool}), &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
		NowFunc:                func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
	})
	if err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}

// openPool returns a database/sql pool with the bounds of options. A bad url is reported without the password in it.
func openPool(url string, options Options) (*sql.DB, error) {
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", err) // pgx redacts the password.
	}
	conf.ConnectTimeout = options.ConnectTimeout
	if options.ApplicationName != "" {
		conf.RuntimeParams["application_name"] = options.ApplicationName
	}
	conf.RuntimeParams["timezone"] = "UTC"
	// Below gorm, so that connecting, transactions and raw SQL are spans too. A span holds the statement, never its values.
	conf.Tracer = otelpgx.NewTracer()
	pool := stdlib.OpenDB(*conf)
	pool.SetMaxOpenConns(options.MaxOpenConns)
	pool.SetMaxIdleConns(options.MaxIdleConns)
	pool.SetConnMaxLifetime(options.ConnMaxLifetime)
	pool.SetConnMaxIdleTime(options.ConnMaxIdleTime)
	return pool, nil
}

// Close closes the pool under db; it waits for statements that run.
func Close(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	if err := pool.Close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// Version returns the server's version as it reports it, such as "17.11", and its number, such as 170011.
func Version(ctx context.Context, db *gorm.DB) (version string, number int, err error) {
	var shown, numeric string
	err = db.WithContext(ctx).Raw("SELECT current_setting('server_version'), current_setting('server_version_num')").Row().Scan(&shown, &numeric)
	if err != nil {
		return "", 0, fmt.Errorf("read server version: %w", err)
	}
	number, err = strconv.Atoi(numeric)
	if err != nil {
		return "", 0, fmt.Errorf("read server version %q: %w", numeric, err)
	}
	version, _, _ = strings.Cut(shown, " ") // Packagers add to it: "17.11 (Debian 17.11-1)".
	return version, number, nil
}

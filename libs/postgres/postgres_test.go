//go:build integration

package postgres_test

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
)

//go:embed testdata
var testdata embed.FS

const (
	dirOne    = "testdata/one"
	dirTwo    = "testdata/two"
	dirBroken = "testdata/broken"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func migrateOne(url string) error {
	return postgres.Migrate(context.Background(), url, testdata, dirOne)
}

func open(t *testing.T, url string) *gorm.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, postgres.Options{ApplicationName: "postgres-test", MaxOpenConns: 4})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close(db)) })
	return db
}

type thingRow struct {
	ID   int64  `gorm:"column:id;primaryKey"`
	Name string `gorm:"column:name"`
}

func (thingRow) TableName() string { return "things" }

func TestOpenPreparesStatementsAndNamesItself(t *testing.T) {
	t.Parallel()
	app, _ := testkit.Postgres(t).Database(t, "sessions", migrateOne)
	db := open(t, app)
	require.NoError(t, db.Connection(func(conn *gorm.DB) error {
		for i := range 3 {
			if err := conn.Create(&thingRow{ID: int64(i) + 1, Name: fmt.Sprint(i)}).Error; err != nil {
				return err
			}
		}
		var name, zone string
		var prepared int
		require.NoError(t, conn.Raw("SELECT current_setting('application_name'), current_setting('timezone')").Row().Scan(&name, &zone))
		assert.Equal(t, "postgres-test", name)
		assert.Equal(t, "UTC", zone)
		require.NoError(t, conn.Raw(`SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT INTO "things"%'`).Row().Scan(&prepared))
		assert.Equal(t, 1, prepared, "prepared once, used three times")
		return nil
	}))
}

func TestOpenDoesNotNeedTheServer(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), fmt.Sprintf("postgres://u:hunter2@127.0.0.1:%d/x", testkit.FreePort(t)), postgres.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, postgres.Close(db)) }()
	_, err = postgres.CheckVersion(t.Context(), db, "17")
	require.Error(t, err)
	assert.True(t, postgres.IsTransient(err), "%v", err)
	assert.NotContains(t, err.Error(), "hunter2")

	_, err = postgres.Open(t.Context(), "postgres://u:hunter2@127.0.0.1:notaport/x", postgres.Options{})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestErrorsAreToldApart(t *testing.T) {
	t.Parallel()
	app, _ := testkit.Postgres(t).Database(t, "sessions", migrateOne)
	db := open(t, app)
	require.NoError(t, db.Create(&thingRow{ID: 1, Name: "a"}).Error)
	err := db.Create(&thingRow{ID: 2, Name: "a"}).Error
	assert.True(t, postgres.IsUniqueViolation(err, "things_name_key"))
	assert.True(t, postgres.IsUniqueViolation(fmt.Errorf("create: %w", err), ""))
	assert.False(t, postgres.IsUniqueViolation(err, "things_pkey"))
	assert.False(t, postgres.IsTransient(err))
	require.ErrorIs(t, err, gorm.ErrDuplicatedKey)
	assert.True(t, postgres.IsUniqueViolation(db.Create(&thingRow{ID: 1, Name: "b"}).Error, "things_pkey"))
	assert.False(t, postgres.IsUniqueViolation(nil, ""))

	raw := db.Exec("INSERT INTO things (id, name) VALUES (3, 'a')").Error
	assert.True(t, postgres.IsUniqueViolation(raw, "things_name_key"), "of raw SQL too")
	assert.False(t, postgres.IsTransient(db.Exec("SELECT nonsense").Error))
	assert.False(t, postgres.IsTransient(nil))
	assert.False(t, postgres.IsTransient(context.Canceled))

	canceled := db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("SET LOCAL statement_timeout = 10").Error; err != nil {
			return err
		}
		return tx.Exec("SELECT pg_sleep(5)").Error
	})
	assert.True(t, postgres.IsTransient(canceled), "%v", canceled)
}

func TestLostTransactionAndLostServerAreTransient(t *testing.T) {
	t.Parallel()
	app, _ := testkit.Postgres(t).Database(t, "sessions", migrateOne)
	db := open(t, app)
	require.NoError(t, db.Exec("INSERT INTO things VALUES (1, 'a'), (2, 'b')").Error)
	locked := sync.WaitGroup{}
	locked.Add(2)
	update := func(first, second int) error {
		return db.Transaction(func(tx *gorm.DB) error {
			err := tx.Exec("UPDATE things SET name = name || 'x' WHERE id = ?", first).Error
			locked.Done()
			locked.Wait()
			return errors.Join(err, tx.Exec("UPDATE things SET name = name || 'x' WHERE id = ?", second).Error)
		})
	}
	results := make(chan error, 2)
	go func() { results <- update(1, 2) }()
	go func() { results <- update(2, 1) }()
	deadlocked := errors.Join(<-results, <-results)
	require.Error(t, deadlocked, "one of the two lost")
	assert.True(t, postgres.IsTransient(deadlocked), "%v", deadlocked)

	terminated := db.Connection(func(conn *gorm.DB) error { return conn.Exec("SELECT pg_terminate_backend(pg_backend_pid())").Error })
	require.Error(t, terminated)
	assert.True(t, postgres.IsTransient(terminated), "%v", terminated)
	require.NoError(t, db.Exec("SELECT 1").Error, "the pool connects anew")
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	app, _ := testkit.Postgres(t).Database(t, "sessions", nil)
	db := open(t, app)
	version, err := postgres.CheckVersion(t.Context(), db, "17")
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(version, "17."), version)
	_, err = postgres.CheckVersion(t.Context(), db, "99.1")
	var tooOld *postgres.TooOldError
	require.ErrorAs(t, err, &tooOld)
	assert.Equal(t, &postgres.TooOldError{Version: version, Minimum: "99.1"}, tooOld)
	assert.Contains(t, err.Error(), "upgrade the server to 99.1 or later")
	_, err = postgres.CheckVersion(t.Context(), db, "seventeen")
	require.Error(t, err)
}

func TestReplicasMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	app, owner := testkit.Postgres(t).Database(t, "sessions", nil)
	results := make([]error, 6)
	var running sync.WaitGroup
	for i := range results {
		running.Go(func() { results[i] = postgres.Migrate(t.Context(), owner, testdata, dirTwo) })
	}
	running.Wait()
	for _, err := range results {
		require.NoError(t, err)
	}
	db := open(t, app)
	var applied int
	require.NoError(t, db.Raw("SELECT count(*) FROM goose_db_version WHERE version_id > 0").Row().Scan(&applied))
	assert.Equal(t, 2, applied, "each migration once")
	require.NoError(t, postgres.SchemaCurrent(t.Context(), db, testdata, dirTwo))
	require.NoError(t, postgres.SchemaCurrent(t.Context(), db, testdata, dirOne), "the version before runs on the newer schema")
	require.NoError(t, db.Create(&thingRow{ID: 1, Name: "a"}).Error, "the service's role may use what the owner made")
}

func TestServiceRoleHasNoDDL(t *testing.T) {
	t.Parallel()
	app, _ := testkit.Postgres(t).Database(t, "sessions", migrateOne)
	err := postgres.Migrate(t.Context(), app, testdata, dirTwo)
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	assert.Equal(t, "42501", pgErr.Code, "insufficient privilege")
	db := open(t, app)
	for _, statement := range []string{"CREATE TABLE mine ()", "DROP TABLE things", "ALTER TABLE things ADD x int", "TRUNCATE things", "CREATE SCHEMA mine"} {
		require.ErrorAs(t, db.Exec(statement).Error, &pgErr, statement)
		assert.Equal(t, "42501", pgErr.Code, statement)
	}
}

func TestSchemaCurrentNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	app, owner := testkit.Postgres(t).Database(t, "sessions", nil)
	db := open(t, app)
	var old *postgres.SchemaError
	require.ErrorAs(t, postgres.SchemaCurrent(t.Context(), db, testdata, dirTwo), &old)
	assert.Equal(t, &postgres.SchemaError{Version: 0, Wanted: 2}, old)
	require.NoError(t, postgres.Migrate(t.Context(), owner, testdata, dirOne))
	require.ErrorAs(t, postgres.SchemaCurrent(t.Context(), db, testdata, dirTwo), &old)
	assert.Equal(t, &postgres.SchemaError{Version: 1, Wanted: 2}, old)
	assert.Contains(t, old.Error(), "run its migrate command")
	require.Error(t, postgres.SchemaCurrent(t.Context(), db, testdata, "testdata"), "a folder without migrations is a mistake")
}

func newGate(t *testing.T, db *gorm.DB, log *bytes.Buffer, change func(*postgres.GateConfig)) *postgres.Gate {
	t.Helper()
	config := postgres.GateConfig{DB: db, Migrations: testdata, MigrationsDir: dirOne, MinVersion: "17", Log: slog.New(slog.NewTextHandler(log, nil))}
	change(&config)
	gate := postgres.NewGate(config)
	require.ErrorIs(t, gate.Check(t.Context()), postgres.ErrNotOpen)
	gate.Start()
	t.Cleanup(func() { require.NoError(t, gate.Stop(context.Background())) })
	return gate
}

func TestGateWaitsForTheServerAndMigrates(t *testing.T) {
	t.Parallel()
	pg := testkit.OwnPostgres(t)
	app, owner := pg.Database(t, "sessions", nil)
	db := open(t, app)
	pg.Stop(t)
	var log bytes.Buffer
	gate := newGate(t, db, &log, func(c *postgres.GateConfig) { c.MigrateURL = owner })
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, gate.Wait(short), context.DeadlineExceeded)
	require.ErrorIs(t, gate.Check(t.Context()), postgres.ErrNotOpen)
	pg.Start(t)
	require.NoError(t, gate.Wait(testkit.Context(t, time.Minute)))
	<-gate.Opened()
	require.NoError(t, gate.Check(t.Context()))
	require.NoError(t, db.Create(&thingRow{ID: 1, Name: "a"}).Error)
	pg.Stop(t)
	require.Error(t, gate.Check(testkit.Context(t, 10*time.Second)), "not ready while the server is away")
	pg.Start(t)
	testkit.Eventually(t, 20*time.Second, gate.Check)
	require.NoError(t, gate.Stop(context.Background()))
	assert.Contains(t, log.String(), "database not ready, trying again")
	assert.Contains(t, log.String(), "postgres_version=17.")
}

func TestGateWaitsUntilSomebodyHasMigrated(t *testing.T) {
	t.Parallel()
	app, owner := testkit.Postgres(t).Database(t, "sessions", nil)
	var log bytes.Buffer
	gate := newGate(t, open(t, app), &log, func(*postgres.GateConfig) {})
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, gate.Wait(short), context.DeadlineExceeded)
	require.NoError(t, postgres.Migrate(t.Context(), owner, testdata, dirOne))
	require.NoError(t, gate.Wait(testkit.Context(t, 30*time.Second)))
}

func TestGateIsFatalWhereWaitingDoesNotHelp(t *testing.T) {
	t.Parallel()
	app, owner := testkit.Postgres(t).Database(t, "sessions", nil)
	var log bytes.Buffer
	tooNew := newGate(t, open(t, app), &log, func(c *postgres.GateConfig) { c.MinVersion = "99" })
	var tooOld *postgres.TooOldError
	require.ErrorAs(t, <-tooNew.Fatal(), &tooOld)

	broken := newGate(t, open(t, app), &log, func(c *postgres.GateConfig) { c.MigrateURL, c.MigrationsDir = owner, dirBroken })
	require.ErrorContains(t, <-broken.Fatal(), "nonsense")

	wrong, err := url.Parse(app)
	require.NoError(t, err)
	wrong.User = url.UserPassword("sessions", "hunter2")
	refused := <-newGate(t, open(t, wrong.String()), &log, func(*postgres.GateConfig) {}).Fatal()
	require.ErrorContains(t, refused, "check the user, the password")
	assert.NotContains(t, refused.Error(), "hunter2")

	noRights := newGate(t, open(t, app), &log, func(c *postgres.GateConfig) { c.MigrateURL = app })
	require.ErrorContains(t, <-noRights.Fatal(), "permission denied")
}

func TestGateWaitsForAServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	pg := testkit.OwnPostgres(t)
	app, owner := pg.Database(t, "sessions", nil)
	db, err := postgres.Open(t.Context(), app, postgres.Options{ConnectTimeout: 100 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close(db)) })
	pg.Pause(t)
	_, err = postgres.CheckVersion(t.Context(), db, "17")
	require.Error(t, err)
	assert.True(t, postgres.IsTransient(err), "%v", err)
	var log bytes.Buffer
	gate := newGate(t, db, &log, func(c *postgres.GateConfig) { c.MigrateURL = owner })
	pg.Unpause(t)
	require.NoError(t, gate.Wait(testkit.Context(t, time.Minute)))
}

func TestGateStopsWhileItWaits(t *testing.T) {
	t.Parallel()
	db := open(t, fmt.Sprintf("postgres://u@127.0.0.1:%d/x", testkit.FreePort(t)))
	var log bytes.Buffer
	gate := newGate(t, db, &log, func(*postgres.GateConfig) {})
	require.NoError(t, gate.Stop(testkit.Context(t, 5*time.Second)))
	select {
	case err := <-gate.Fatal():
		t.Fatalf("stopping is no failure: %v", err)
	default:
	}
}

func TestAnArrayIsOneParameter(t *testing.T) {
	t.Parallel()
	app, _ := testkit.Postgres(t).Database(t, "sessions", migrateOne)
	db := open(t, app)
	for _, names := range [][]string{nil, {"one"}, {"b", "a,\"}", ""}} {
		var got []string
		require.NoError(t, db.Raw("SELECT unnest(CAST(? AS text[]))", postgres.Array(names)).Find(&got).Error)
		require.Equal(t, append([]string{}, names...), append([]string{}, got...))
	}
}

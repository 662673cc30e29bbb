//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
)

// plainRow is a thing whose id the caller gives, so that gorm asks for nothing back.
type plainRow struct {
	ID   int64  `gorm:"column:id;primaryKey;autoIncrement:false"`
	Name string `gorm:"column:name"`
}

func (plainRow) TableName() string { return "things" }

// things is a database with its rows.
func things(t *testing.T) *gorm.DB {
	t.Helper()
	app, _ := testkit.Postgres(t).Database(t, "sessions", migrateOne)
	return open(t, app)
}

func stored(t *testing.T, db *gorm.DB) []thingRow {
	t.Helper()
	var rows []thingRow
	require.NoError(t, db.Order("id").Find(&rows).Error)
	return rows
}

func TestAPipelineRunsItsStatementsInOrder(t *testing.T) {
	t.Parallel()
	db := things(t)
	var affected int64
	var seen, alone string
	require.NoError(t, postgres.InPipeline(t.Context(), db, func(p *postgres.Pipeline) error {
		p.Queue("INSERT INTO things (id, name) VALUES ($1, $2), (2, 'two')", 1, "one").Exec(func(done pgconn.CommandTag) error {
			affected = done.RowsAffected()
			return nil
		})
		p.Queue("SELECT name FROM things WHERE id = $1 FOR UPDATE", 1).QueryRow(func(row pgx.Row) error { return row.Scan(&seen) })
		require.NoError(t, p.DB().Exec("UPDATE things SET name = ? WHERE id = ?", "second", 2).Error)
		require.Zero(t, affected, "nothing is sent yet")
		require.NoError(t, p.Flush(t.Context()))
		require.NoError(t, p.Flush(t.Context()), "there is nothing more to send")
		require.Empty(t, stored(t, db), "it is not committed")
		require.NoError(t, p.DB().Create(&plainRow{ID: 3, Name: "three"}).Error)
		require.NoError(t, p.DB().Raw("SELECT name FROM things WHERE id = 3").Row().Scan(&alone))
		var names []string
		require.NoError(t, p.DB().Raw("SELECT name FROM things ORDER BY id").Scan(&names).Error)
		require.Equal(t, []string{"one", "second", "three"}, names)
		return p.DB().Create(&[]plainRow{{ID: 4, Name: "four"}}).Error
	}))
	require.EqualValues(t, 2, affected)
	require.Equal(t, []string{"one", "three"}, []string{seen, alone})
	require.Equal(t, []thingRow{{1, "one"}, {2, "second"}, {3, "three"}, {4, "four"}}, stored(t, db))
	require.NoError(t, postgres.InPipeline(t.Context(), db, func(*postgres.Pipeline) error { return nil }))
}

func TestAPipelineStoresAllOrNothing(t *testing.T) {
	t.Parallel()
	db := things(t)
	mine := errors.New("mine")
	insert := func(p *postgres.Pipeline, id int64) {
		require.NoError(t, p.DB().Create(&plainRow{ID: id, Name: "x"}).Error)
	}
	for name, work := range map[string]func(p *postgres.Pipeline) error{
		"the caller's error, nothing sent": func(p *postgres.Pipeline) error { insert(p, 1); return mine },
		"the caller's error, sent":         func(p *postgres.Pipeline) error { insert(p, 1); return errors.Join(p.Flush(t.Context()), mine) },
		"at the commit":                    func(p *postgres.Pipeline) error { insert(p, 1); insert(p, 1); insert(p, 2); return nil },
		"in a group": func(p *postgres.Pipeline) error {
			insert(p, 1)
			insert(p, 1)
			err := p.Flush(t.Context())
			require.True(t, postgres.IsUniqueViolation(err, ""), "%v", err)
			require.Equal(t, err, p.Flush(t.Context()), "it stays failed")
			return err
		},
		"hidden by the caller": func(p *postgres.Pipeline) error {
			insert(p, 1)
			insert(p, 1)
			require.Error(t, p.DB().Raw("SELECT 1").Row().Scan(new(int)))
			return nil
		},
		"in what is done with a result": func(p *postgres.Pipeline) error {
			p.Queue("INSERT INTO things (id, name) VALUES (1, 'x')").Exec(func(pgconn.CommandTag) error { return mine })
			insert(p, 2)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := postgres.InPipeline(t.Context(), db, work)
			require.True(t, errors.Is(err, mine) || postgres.IsUniqueViolation(err, ""), "%v", err)
			require.Empty(t, stored(t, db))
			requireNoneOpen(t, db)
		})
	}
}

func TestAPanicGivesAPipelineUp(t *testing.T) {
	t.Parallel()
	db := things(t)
	require.Panics(t, func() {
		_ = postgres.InPipeline(t.Context(), db, func(p *postgres.Pipeline) error {
			require.NoError(t, p.DB().Create(&plainRow{ID: 1, Name: "x"}).Error)
			require.NoError(t, p.Flush(t.Context()))
			panic("a bug")
		})
	})
	require.Empty(t, stored(t, db))
	requireNoneOpen(t, db)
}

// TestAPipelineWaitsForLocksNoLongerThanItsCaller has one wait for a row that another one holds.
func TestAPipelineWaitsForLocksNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	db := things(t)
	require.NoError(t, db.Create(&plainRow{ID: 1, Name: "x"}).Error)
	lock := func(ctx context.Context, p *postgres.Pipeline) error {
		p.Queue("SELECT 1 FROM things WHERE id = 1 FOR UPDATE")
		return p.Flush(ctx)
	}
	require.NoError(t, postgres.InPipeline(t.Context(), db, func(p *postgres.Pipeline) error {
		require.NoError(t, lock(t.Context(), p))
		// The second connection stands before the time runs: one that takes too long looks like an
		// outage.
		require.NoError(t, db.WithContext(t.Context()).Exec("SELECT 1").Error)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := postgres.InPipeline(ctx, db, func(p *postgres.Pipeline) error { return lock(ctx, p) })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, postgres.IsTransient(err))
		return nil
	}))
	require.NoError(t, postgres.InPipeline(t.Context(), db, func(p *postgres.Pipeline) error { return lock(t.Context(), p) }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, postgres.InPipeline(ctx, db, func(*postgres.Pipeline) error { return nil }), context.Canceled)
	requireNoneOpen(t, db)
}

// requireNoneOpen requires that no connection to the database is left in a transaction.
func requireNoneOpen(t *testing.T, db *gorm.DB) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func(context.Context) error {
		var open int
		err := db.Raw(`SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`).Row().Scan(&open)
		if err == nil && open > 0 {
			err = errors.New("a connection is left in a transaction")
		}
		return err
	})
}

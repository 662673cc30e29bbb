//go:build integration

package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// A session that becomes visible to somebody after they have found nothing to lock, and before they read it, is not there for them: they would
// change it without its lock.
func TestASessionThatBecomesVisibleBetweenLockAndReadIsNotFound(t *testing.T) {
	url, _ := testkit.Postgres(t).Database(t, "sessions", func(url string) error {
		return libpostgres.Migrate(context.Background(), url, Migrations, MigrationsDir)
	})
	open := func(connections int) *gorm.DB {
		db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{MaxOpenConns: connections})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
		return db
	}
	db, store := open(8), NewStore(open(1), "call.events", func(...string) {})
	session, log := portstest.NewSession(t)
	_, err := store.Create(t.Context(), session, log)
	require.NoError(t, err)
	look := func() error {
		_, err := store.Update(t.Context(), ports.Viewer{UserID: "carol"}, session.ID(), func(*domain.Session) ([]ports.Entry, error) { return nil, nil })
		return err
	}
	require.ErrorIs(t, look(), domain.ErrNotFound) // Its connection knows the statements now, so that each waits only when its turn comes.

	gate := db.Begin()
	require.NoError(t, gate.Exec(`LOCK TABLE participants IN ACCESS EXCLUSIVE MODE`).Error)
	looked := make(chan error, 1)
	go func() { looked <- look() }()
	require.Eventually(t, func() bool {
		var waiting int
		err := db.Raw(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'relation'`).
			Row().Scan(&waiting)
		return err == nil && waiting == 1
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, db.Exec(`INSERT INTO members (session_id, user_id, role) VALUES (?, 'carol', 'host')`, session.ID()).Error)
	require.NoError(t, gate.Rollback().Error)
	require.ErrorIs(t, <-looked, domain.ErrNotFound)
	require.NoError(t, look())
}

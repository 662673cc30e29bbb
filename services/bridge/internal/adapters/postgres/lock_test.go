//go:build integration

package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres/migrations"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// TestMappingCommittedBetweenLockAndRead has one transaction find nothing to lock, and another
// commit the mapping before the first reads it: the first locks it all the same, so that no change
// of a third is lost.
func TestMappingCommittedBetweenLockAndRead(t *testing.T) {
	url, _ := testkit.Postgres(t).Database(t, "bridge", func(url string) error {
		return libpostgres.Migrate(context.Background(), url, migrations.Files, migrations.Dir)
	})
	open := func(connections int) *gorm.DB {
		db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{MaxOpenConns: connections})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
		return db
	}
	db, store := open(8), NewStore(open(1), func(*outbox.Added) {})
	learn := func(session string) error {
		return store.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
			return ports.Change{Mapping: m.Learn(1, domain.Member{UserID: "alice", Role: events.RoleViewer, Version: 1})}, nil
		})
	}
	session, other := newID(t), newID(t)
	require.NoError(t, learn(other)) // Its connection knows the statements now, so that each waits only when its turn comes.

	maker, gate, rival := db.Begin(), db.Begin(), db.Begin()
	made := toMappingRow(domain.New(session).State())
	made.UpdatedAt = time.Now()
	require.NoError(t, maker.Create(&made).Error)
	require.NoError(t, gate.Exec(`LOCK TABLE tracks IN ACCESS EXCLUSIVE MODE`).Error)
	learned := make(chan error, 1)
	go func() { learned <- learn(session) }()
	awaitWaiting(t, db, "relation")
	require.NoError(t, maker.Commit().Error)
	require.NoError(t, rival.Exec(`UPDATE mappings SET revision = revision + 1 WHERE session_id = ?`, session).Error)
	require.NoError(t, gate.Rollback().Error)
	awaitWaiting(t, db, "transactionid")
	require.NoError(t, rival.Commit().Error)
	require.NoError(t, <-learned)
	var revision int
	require.NoError(t, db.Raw(`SELECT revision FROM mappings WHERE session_id = ?`, session).Row().Scan(&revision))
	require.Equal(t, 2, revision, "no change is lost")
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := events.NewID()
	require.NoError(t, err)
	return id
}

// awaitWaiting waits until one session of this database waits for a lock of a kind.
func awaitWaiting(t *testing.T, db *gorm.DB, kind string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting int
		err := db.Raw(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = ?`, kind).
			Row().Scan(&waiting)
		return err == nil && waiting == 1
	}, time.Minute, 5*time.Millisecond)
}

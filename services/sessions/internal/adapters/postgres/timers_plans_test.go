//go:build integration

package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
)

// TestTimersReadByIndex holds what runs every second, or over all that was ever stored, to plans that read only what is due: also where most
// sessions are over, many wait and hardly any is due.
func TestTimersReadByIndex(t *testing.T) {
	url, ownerURL := testkit.Postgres(t).Database(t, "sessions", func(url string) error {
		return libpostgres.Migrate(context.Background(), url, Migrations, MigrationsDir)
	})
	open := func(url string) *gorm.DB {
		db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{MaxOpenConns: 2})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
		return db
	}
	db, owner := open(url), open(ownerURL)
	require.NoError(t, db.Exec(seed, stored).Error)
	require.NoError(t, db.Exec(`UPDATE sessions SET status = 'ended', ended_at = now() - random() * interval '60 days'
		WHERE id IN (SELECT id FROM sessions ORDER BY id LIMIT ?)`, stored/2).Error)
	require.NoError(t, db.Exec(`UPDATE sessions SET activation_from = now() - random() * interval '70 minutes'`).Error)
	require.NoError(t, db.Exec(`INSERT INTO quarantine (session_id, event_id, type, digest, reason, detail, envelope, quarantined_at)
		SELECT gen_random_uuid(), gen_random_uuid(), 'call.connected', decode(repeat('00', 32), 'hex'), 'r', '', '{}', now() - n * interval '4 min'
		  FROM generate_series(1, ?) n`, stored).Error)
	require.NoError(t, owner.Exec("ANALYZE").Error)
	args := map[string]any{"timeout": time.Hour.Microseconds(), "again": 0, "age": (30 * 24 * time.Hour).Microseconds(), "limit": 16}
	for name, statement := range map[string]string{
		"claim": claimStatement, "next": nextOverdueStatement, "retention": deleteFinalStatement, "strays": deleteStrayStatement,
	} {
		var lines []string
		given := []any{args}
		if !strings.Contains(statement, "@") {
			given = nil
		}
		require.NoError(t, db.Raw("EXPLAIN "+statement, given...).Scan(&lines).Error, name)
		plan := strings.Join(lines, "\n")
		require.Contains(t, plan, "Index", name)
		require.NotContains(t, plan, "Seq Scan", "%s:\n%s", name, plan)
	}
}

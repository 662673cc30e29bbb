//go:build integration

package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

const stored = 20_000 // sessions; enough for the planner to leave sequential scans wherever an index would do

const seed = `
WITH new AS (
	INSERT INTO sessions (id, owner_id, status, kind, provider, metadata, version, created_at, updated_at, last_seq, last_event_id)
	SELECT gen_random_uuid(), 'user' || n % 1000, 'created', 'video', 'livekit', '{}', 1, now(), now(), 3, gen_random_uuid()
	  FROM generate_series(1, ?) n
	RETURNING id, owner_id
), m AS (
	INSERT INTO members (session_id, user_id, role) SELECT id, owner_id, 'host' FROM new
), p AS (
	INSERT INTO participants SELECT id, owner_id || '#default', owner_id, 'present', now(), '[]' FROM new
)
INSERT INTO events SELECT id, seq, gen_random_uuid(), 'call.updated', decode(repeat('00', 32), 'hex'), '{}', now() FROM new, generate_series(1, 3) seq`

// filled returns a database in which the statement has put something, and with which the planner is acquainted.
func filled(t *testing.T, statement string, args ...any) *gorm.DB {
	t.Helper()
	url, ownerURL := testkit.Postgres(t).Database(t, "sessions", func(url string) error {
		return libpostgres.Migrate(context.Background(), url, Migrations, MigrationsDir)
	})
	open := func(url string) *gorm.DB {
		db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{MaxOpenConns: 2})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
		return db
	}
	require.NoError(t, open(url).Exec(statement, args...).Error)
	require.NoError(t, open(ownerURL).Exec("VACUUM ANALYZE").Error)
	return open(url)
}

// TestHotStatementsReadByIndex holds the statements that every request and event runs to plans whose cost does not grow with what is
// stored: index scans alone, over the one session that is asked for.
func TestHotStatementsReadByIndex(t *testing.T) {
	db := filled(t, seed, stored)
	var one struct{ ID, OwnerID, EventID string }
	require.NoError(t, db.Raw("SELECT s.id, s.owner_id, e.event_id FROM sessions s JOIN events e ON e.session_id = s.id WHERE e.seq = 2 LIMIT 1").Scan(&one).Error)
	args := arguments(ports.Viewer{UserID: one.OwnerID}, one.ID, one.EventID)
	session, entries := portstest.NewSession(t)
	c := change{before: session.Snapshot(), after: session.Snapshot(), lastSeq: 1, entries: entries}
	written := map[string]any{}
	require.NoError(t, c.arguments(t.Context(), "call.events", written))
	found := map[string]any{"found_seq": 1, "found_event_id": one.EventID}
	require.NoError(t, c.mostArguments(found))
	for name, query := range map[string]*gorm.DB{
		"create":    db.Raw("EXPLAIN "+insertStatement, written),
		"save":      db.Raw("EXPLAIN "+saveStatement, written),
		"as left":   db.Raw("EXPLAIN "+saveFoundStatement, found),
		"lock any":  db.Raw("EXPLAIN "+lockAnyStatement, args),
		"lock":      db.Raw("EXPLAIN "+lockOfOneStatement, args),
		"read":      db.Raw("EXPLAIN "+readStatement, args),
		"watermark": db.Raw("EXPLAIN "+watermarkStatement, args),
		"page":      db.Raw("EXPLAIN SELECT event_id, envelope FROM events WHERE session_id = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?", one.ID, 1, 3, 51),
	} {
		var lines []string
		require.NoError(t, query.Scan(&lines).Error, name)
		plan := strings.Join(lines, "\n")
		if name != "create" { // it reads nothing that is stored
			require.Contains(t, plan, "Index", name)
		}
		require.NotContains(t, plan, "Seq Scan", "%s:\n%s", name, plan)
	}
}

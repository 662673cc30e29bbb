//go:build integration

package postgres

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres/migrations"
)

const stored = 20_000 // mappings; enough for the planner to leave sequential scans wherever an index would do

// seed stores calls of which one in a hundred goes on, each with a participant, a check and work at
// the provider. One in a thousand goes on without a participant.
const seed = `
WITH ids AS (SELECT n, gen_random_uuid() AS id FROM generate_series(1, @stored) n), m AS (
	INSERT INTO mappings (session_id, room_name, session_version, final, revision, episode, room_phase, room_sid, first_room_sid,
			connecting_at, connected_at, disconnected_at, last_left_lost)
		SELECT id, 'call-' || id, 1, n % 100 > 0, 4, 2, 'open', 'RM', 'RM', now(), now(), CASE WHEN n % 100 > 0 THEN now() END, false FROM ids
), members AS (
	INSERT INTO members SELECT id, 'u' || n, 'participant', 1, false FROM ids
), people AS (
	INSERT INTO participants (session_id, identity, user_id, device_id, presence, episode, participant_sid, joined_at)
		SELECT id, 'u' || n || '#default', 'u' || n, 'default', 'absent', 1, 'PA', now() FROM ids WHERE n % 1000 > 0
), tracks AS (
	INSERT INTO tracks (session_id, identity, track_sid, kind, source, name, mime_type, published_at, open)
		SELECT id, 'u' || n || '#default', 'TR', 'audio', 'microphone', '', '', now(), false FROM ids WHERE n % 1000 > 0
), windows AS (
	INSERT INTO windows (session_id, ends_at, next_attempt_at) SELECT id, now() + n * interval '1 s', now() + n * interval '1 s' FROM ids
), standings AS (
	INSERT INTO standings (session_id, identity, user_id, generation, attempts, requested_at, next_attempt_at)
		SELECT id, 'u' || n || '#default', 'u' || n, n, 0, now(), now() + n * interval '1 s' FROM ids
), deletions AS (
	INSERT INTO room_deletions SELECT 'call-' || id, n, 0, now(), now() + n * interval '1 s' FROM ids
)
INSERT INTO webhook_receipts SELECT 'EV_' || n, 'k', 'call-' || id, now() - n * interval '1 s' FROM ids`

// TestHotStatementsReadByIndex checks the plans of the statements that every webhook, every room
// check and every comparison with LiveKit run: index scans alone, whose cost does not grow with
// what is stored.
func TestHotStatementsReadByIndex(t *testing.T) {
	url, ownerURL := testkit.Postgres(t).Database(t, "bridge", func(url string) error {
		return libpostgres.Migrate(context.Background(), url, migrations.Files, migrations.Dir)
	})
	owner, err := libpostgres.Open(t.Context(), ownerURL, libpostgres.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, libpostgres.Close(owner)) }()
	require.NoError(t, owner.Exec(seed, map[string]any{"stored": stored}).Error)
	require.NoError(t, owner.Exec("VACUUM ANALYZE").Error)
	db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, libpostgres.Close(db)) }()
	var session, room string
	require.NoError(t, db.Raw("SELECT session_id, room_name FROM mappings LIMIT 1").Row().Scan(&session, &room))
	for name, statement := range map[string]struct {
		text string
		args []any
	}{
		"receipt":         {insertReceiptStatement, []any{"EV_1", "k", room, "2026-11-23T08:00:00Z"}},
		"lock, room":      {lockStatement(byRoom), []any{room}},
		"lock, session":   {lockStatement(bySession), []any{session}},
		"lock, unchanged": {lockIfUnchangedStatement, []any{room, 4, "2026-11-23T08:00:00Z"}},
		"whole, room":     {readStatement(byRoom), []any{room}},
		"whole, session":  {readStatement(bySession), []any{session}},
		"by ids":          {byIDsStatement, []any{`["` + session + `"]`}},
		"active":          {activeStatement, []any{firstSession, 50}},
		"orphan rooms":    {orphansStatement, []any{[]string{room}}},
		"checks due":      {claimChecksStatement, []any{1000, 16}},
		"old receipts":    {forgetReceiptsStatement, []any{"2026-11-20T08:00:00Z", 1000}},
		"old mappings":    {forgetMappingsStatement, []any{"2026-11-20T08:00:00Z", 100}},
	} {
		var lines []string
		require.NoError(t, db.Raw("EXPLAIN "+unnumbered(statement.text), statement.args...).Scan(&lines).Error, name)
		plan := strings.Join(lines, "\n")
		require.NotContains(t, plan, "Seq Scan", "%s:\n%s", name, plan)
		if name != "receipt" { // It only writes; that it finds its own by an index is what ON CONFLICT needs.
			require.Contains(t, plan, "Index", "%s:\n%s", name, plan)
		}
	}
}

var number = regexp.MustCompile(`\$\d`)

// unnumbered writes the parameters of a statement as gorm has them.
func unnumbered(statement string) string { return number.ReplaceAllString(statement, "?") }

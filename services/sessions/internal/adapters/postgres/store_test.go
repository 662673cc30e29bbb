//go:build integration

package postgres_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func migrate(url string) error {
	return libpostgres.Migrate(context.Background(), url, postgres.Migrations, postgres.MigrationsDir)
}

// open returns a fresh database of the service, as its own role.
func open(t testing.TB) *gorm.DB {
	t.Helper()
	url, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
	return connect(t, url)
}

func connect(t testing.TB, url string) *gorm.DB {
	t.Helper()
	db, err := libpostgres.Open(context.Background(), url, libpostgres.Options{MaxOpenConns: 8})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
	return db
}

func TestSessionStore(t *testing.T) {
	portstest.SessionStore(t, func(t *testing.T) portstest.StoreUnderTest {
		db := open(t)
		return portstest.StoreUnderTest{
			Store:      postgres.NewStore(db, "call.events", func(...string) {}),
			Outbox:     func() []json.RawMessage { return outboxOf(t, db) },
			Quarantine: func() []ports.Quarantined { return quarantineOf(t, db) },

			Memberships: func(sessionID string) []ports.Membership { return membershipsOf(t, db, sessionID) },
			LoggedAt:    func(sessionID string) []time.Time { return loggedAt(t, db, sessionID) },
		}
	})
}

func TestCheckpoints(t *testing.T) {
	portstest.Checkpoints(t, func(t *testing.T) (portstest.StoreUnderTest, ports.Checkpoints) {
		store := postgres.NewStore(open(t), "call.events", func(...string) {})
		return portstest.StoreUnderTest{Store: store}, store
	})
}

func outboxOf(t *testing.T, db *gorm.DB) []json.RawMessage {
	t.Helper()
	var bodies [][]byte
	require.NoError(t, db.Raw("SELECT body FROM outbox ORDER BY id").Scan(&bodies).Error)
	messages := make([]json.RawMessage, len(bodies))
	for i, body := range bodies {
		messages[i] = body
	}
	return messages
}

func quarantineOf(t *testing.T, db *gorm.DB) []ports.Quarantined {
	t.Helper()
	var rows []struct{ EventID, Reason, Detail string }
	require.NoError(t, db.Raw("SELECT event_id, reason, detail FROM quarantine ORDER BY id").Scan(&rows).Error)
	list := make([]ports.Quarantined, len(rows))
	for i, row := range rows {
		list[i] = ports.Quarantined{
			Event:  events.Accepted{Envelope: events.Envelope{EventID: row.EventID}},
			Reason: domain.QuarantineReason(row.Reason), Detail: row.Detail,
		}
	}
	return list
}

func membershipsOf(t *testing.T, db *gorm.DB, sessionID string) []ports.Membership {
	t.Helper()
	var list []ports.Membership
	require.NoError(t, db.Raw(`
		SELECT session_id, user_id, since_seq AS since, 0 AS until FROM members WHERE session_id = @id
		UNION ALL SELECT session_id, user_id, since_seq, until_seq FROM former_members WHERE session_id = @id
		ORDER BY user_id, since`, map[string]any{"id": sessionID}).Scan(&list).Error)
	return list
}

// loggedAt also holds the session to having been logged to when its last event was, as far as one statement has one moment.
func loggedAt(t *testing.T, db *gorm.DB, sessionID string) []time.Time {
	t.Helper()
	var times []time.Time
	require.NoError(t, db.Raw("SELECT logged_at FROM events WHERE session_id = ? ORDER BY seq", sessionID).Scan(&times).Error)
	var last time.Time
	require.NoError(t, db.Raw("SELECT last_logged_at FROM sessions WHERE id = ?", sessionID).Scan(&last).Error)
	require.True(t, last.After(times[len(times)-3]), "the last event was logged at %s, the session says %s", times[len(times)-1], last)
	return times
}

// TestAnOlderVersionRunsOnTheSchema says what 0.1 says, whose statements know nothing of later columns.
func TestAnOlderVersionRunsOnTheSchema(t *testing.T) {
	db := open(t)
	id := portstest.NewID(t)
	for _, statement := range []string{
		`INSERT INTO sessions (id, owner_id, status, kind, provider, metadata, version, created_at, updated_at, last_seq, last_event_id)
		 VALUES (@id, 'alice', 'created', 'video', 'livekit', '{}', 1, now(), now(), 1, gen_random_uuid())`,
		`INSERT INTO members (session_id, user_id, role) VALUES (@id, 'alice', 'host'), (@id, 'bob', 'viewer')`,
		`INSERT INTO events (session_id, seq, event_id, type, digest, envelope, appended_at)
		 VALUES (@id, 1, gen_random_uuid(), 'call.created', decode(repeat('00', 32), 'hex'), '{}', now())`,
		`UPDATE sessions SET last_seq = 2, last_event_id = gen_random_uuid() WHERE id = @id`,
		`DELETE FROM members WHERE session_id = @id AND user_id = 'bob'`,
		`INSERT INTO events (session_id, seq, event_id, type, digest, envelope, appended_at)
		 VALUES (@id, 2, gen_random_uuid(), 'call.member.removed', decode(repeat('00', 32), 'hex'), '{}', now())`,
	} {
		require.NoError(t, db.Exec(statement, map[string]any{"id": id}).Error, statement)
	}
	var found bool
	require.NoError(t, db.Raw(`SELECT s.last_logged_at > e.logged_at FROM sessions s JOIN events e ON e.session_id = s.id WHERE s.id = ? AND e.seq = 1`, id).Scan(&found).Error)
	require.True(t, found, "what it appends is found by its time")
	require.Equal(t, []ports.Membership{{SessionID: id, UserID: "alice", Since: 1}}, membershipsOf(t, db, id))
}

func TestOutboxTablesAreTheLibrarys(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("migrations", "0001_sessions.sql"))
	require.NoError(t, err)
	require.Contains(t, string(text), strings.TrimSpace(outbox.Schema))
}

func TestCommitWakesTheRelay(t *testing.T) {
	woken := make(chan string, 10)
	store := postgres.NewStore(open(t), "call.events", func(ids ...string) { woken <- ids[0] })
	session, log := portstest.NewSession(t)
	_, err := store.Create(t.Context(), session, log)
	require.NoError(t, err)
	require.Equal(t, session.ID(), <-woken)
	_, err = store.Update(t.Context(), ports.System(), session.ID(), func(*domain.Session) ([]ports.Entry, error) { return nil, nil })
	require.NoError(t, err)
	require.Empty(t, woken, "nothing to publish")
}

func TestConstraintsDefendTheInvariants(t *testing.T) {
	db := open(t)
	store := postgres.NewStore(db, "call.events", func(...string) {})
	session, log := portstest.NewSession(t)
	_, err := store.Create(t.Context(), session, log)
	require.NoError(t, err)
	for name, change := range map[string]string{
		"final without an end":           "status = 'ended'",
		"an end of what goes on":         "ended_at = now()",
		"active without a correlation":   "status = 'active'",
		"half a correlation":             "provider_room_id = 'x'",
		"a status that nobody knows":     "status = 'gone'",
		"failed without an error":        "status = 'failed', ended_at = now()",
		"an end before the start":        "status = 'ended', started_at = now(), ended_at = now() - interval '1 s', provider_room_id = 'x', provider_participant_id = 'x', provider_call_id = 'x'",
		"metadata that is no object":     "metadata = '[]'",
		"metadata that is too large":     "metadata = json_build_object('a', repeat('x', 17000))",
		"a version before the first one": "version = 0",
		"a change before the creation":   "updated_at = created_at - interval '1 s'",
	} {
		err := db.Exec("UPDATE sessions SET "+change+" WHERE id = ?", session.ID()).Error
		require.Error(t, err, name)
		require.Contains(t, err.Error(), "23514", "%s: check_violation", name)
	}
}

func TestDatabaseAwayIsUnavailable(t *testing.T) {
	db := connect(t, "postgres://nobody:nothing@127.0.0.1:1/none")
	store := postgres.NewStore(db, "call.events", func(...string) {})
	_, err := store.Get(testkit.Context(t, 10*time.Second), ports.System(), portstest.NewID(t))
	require.ErrorIs(t, err, ports.ErrUnavailable)
}

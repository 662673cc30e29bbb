//go:build integration

package postgres

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
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
	"github.com/callplane/callplane/services/bridge/internal/ports/portstest"
)

const evidenceMigration = "0007_evidence.sql"

// beforeEvidence are the migrations that the version before evidence has.
func beforeEvidence(t *testing.T) fs.FS {
	t.Helper()
	all, err := fs.Glob(migrations.Files, "*.sql")
	require.NoError(t, err)
	earlier := fstest.MapFS{}
	for _, name := range all {
		if name < evidenceMigration {
			text, err := migrations.Files.ReadFile(name)
			require.NoError(t, err)
			earlier[name] = &fstest.MapFile{Data: text}
		}
	}
	return earlier
}

// oldStatements are those of the version before evidence, for a participant of each presence in one
// session: alice is in the call, bob has been replaced, carol has left, and dave may come back.
var oldStatements = []string{
	`INSERT INTO mappings (session_id, room_name, session_version, final, revision, episode, room_phase, room_sid, first_room_sid,
			room_created_at, connecting_at, connected_at, disconnected_at, last_left_at, last_left_lost, last_left_vanished, interrupted, updated_at)
		VALUES (@session, 'call-' || @session, 1, false, 9, 5, 'open', 'RM_1', 'RM_1', @at, @at, @at, NULL, @at, false, false, false, @at)`,
	`INSERT INTO members (session_id, user_id, role, version, removed)
		SELECT CAST(@session AS uuid), u, 'host', 1, false FROM unnest(ARRAY['alice', 'bob', 'carol', 'dave']) u`,
	`INSERT INTO participants (session_id, identity, user_id, device_id, presence, participant_sid, joined_at, episode, outdated,
			window_reason, window_parting, window_told, window_since, window_deadline) VALUES
		(@session, 'alice#default', 'alice', 'default', 'present', 'PA_alice', @at, 1, false, NULL, NULL, false, NULL, NULL),
		(@session, 'bob#default', 'bob', 'default', 'replaced', 'PA_bob', @at, 2, false, 'migration', 'in_order', false, @at, @at),
		(@session, 'carol#default', 'carol', 'default', 'absent', 'PA_carol', @at, 3, false, NULL, NULL, false, NULL, NULL),
		(@session, 'dave#default', 'dave', 'default', 'reconnecting', 'PA_dave', @at, 4, true, 'unknown', 'in_order', false, @at, @at)
		ON CONFLICT (session_id, identity) DO UPDATE SET presence = excluded.presence, participant_sid = excluded.participant_sid,
			joined_at = excluded.joined_at, episode = excluded.episode, outdated = excluded.outdated, window_reason = excluded.window_reason,
			window_parting = excluded.window_parting, window_told = excluded.window_told, window_since = excluded.window_since,
			window_deadline = excluded.window_deadline`,
	`INSERT INTO tracks (session_id, identity, track_sid, kind, source, name, mime_type, published_at, open, awaits) VALUES
		(@session, 'alice#default', 'TR_open', 'audio', 'microphone', '', '', @at, true, NULL),
		(@session, 'alice#default', 'TR_closed', 'video', 'camera', '', '', @at, false, NULL),
		(@session, 'alice#default', 'TR_early', 'audio', 'microphone', '', '', @at, false, 'PA_next')
		ON CONFLICT (session_id, identity, track_sid) DO UPDATE SET open = excluded.open, awaits = excluded.awaits`,
	`INSERT INTO windows (session_id, ends_at, next_attempt_at) VALUES (@session, @at, @at)
		ON CONFLICT (session_id) DO UPDATE SET ends_at = excluded.ends_at, next_attempt_at = excluded.next_attempt_at, attempts = 0, claim = NULL
		WHERE windows.ends_at <> excluded.ends_at`,
	`INSERT INTO standings (session_id, identity, user_id, role, generation, attempts, requested_at, next_attempt_at)
		VALUES (@session, 'dave#default', 'dave', 'viewer', nextval('standing_generations'), 0, clock_timestamp(), clock_timestamp())
		ON CONFLICT (session_id, identity) DO UPDATE SET role = excluded.role, generation = excluded.generation, attempts = 0,
			requested_at = excluded.requested_at, next_attempt_at = excluded.next_attempt_at`,
}

func writeOld(t *testing.T, db *gorm.DB, session string) {
	t.Helper()
	for _, statement := range oldStatements {
		require.NoError(t, db.Exec(statement, map[string]any{"session": session, "at": at}).Error, statement)
	}
}

// evidenceDatabase returns an empty database, as the owner of the schema sees it, and its URL.
func evidenceDatabase(t *testing.T) (db *gorm.DB, ownerURL string) {
	t.Helper()
	_, ownerURL = testkit.Postgres(t).Database(t, "bridge", nil)
	require.NoError(t, libpostgres.Migrate(t.Context(), ownerURL, beforeEvidence(t), "."))
	db, err := libpostgres.Open(t.Context(), ownerURL, libpostgres.Options{MaxOpenConns: 8})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
	return db, ownerURL
}

func stateOf(t *testing.T, s *Store, session string) domain.State {
	t.Helper()
	m, known, err := s.Find(t.Context(), session)
	require.NoError(t, err)
	require.True(t, known)
	return m.State()
}

// requireOldEvidence checks what is read of a session that the version before evidence has written.
func requireOldEvidence(t *testing.T, state domain.State) {
	t.Helper()
	require.Equal(t, domain.Told, state.Room.Evidence)
	require.Empty(t, state.Room.Finished)
	require.True(t, state.LookAt.IsZero())
	for identity, want := range map[string]domain.Evidence{
		"alice#default": "", "bob#default": domain.Told, "carol#default": "", "dave#default": domain.Inferred,
	} {
		p := state.Participants[identity]
		require.Equal(t, domain.Told, p.Evidence, identity)
		require.Equal(t, want, p.Grace.Evidence, identity)
		require.True(t, p.Grace.DeniedAt.IsZero(), identity)
		require.Empty(t, p.Ended, identity)
		require.False(t, p.Unanswered, identity)
	}
	for sid, track := range state.Participants["alice#default"].Tracks {
		require.Equal(t, domain.Told, track.Evidence, sid)
		require.Zero(t, track.Episode, sid)
	}
}

// TestRowsOfTheVersionBeforeEvidence reads rows from before the migration, and rows that a replica
// of the earlier version writes after it.
func TestRowsOfTheVersionBeforeEvidence(t *testing.T) {
	db, url := evidenceDatabase(t)
	before, after := newID(t), newID(t)
	writeOld(t, db, before)
	require.NoError(t, libpostgres.Migrate(t.Context(), url, migrations.Files, migrations.Dir))
	writeOld(t, db, after)
	s := NewStore(db, func(*outbox.Added) {})
	for _, session := range []string{before, after} {
		requireOldEvidence(t, stateOf(t, s, session))
	}
}

// TestVersionBeforeEvidenceChangesRows has a replica of the earlier version change what this one
// has stored: it leaves the evidence as it is, which must not be taken for evidence of the new
// facts.
func TestVersionBeforeEvidenceChangesRows(t *testing.T) {
	db, url := evidenceDatabase(t)
	require.NoError(t, libpostgres.Migrate(t.Context(), url, migrations.Files, migrations.Dir))
	s, session := NewStore(db, func(*outbox.Added) {}), newID(t)
	require.NoError(t, s.ChangeSession(t.Context(), session, func(domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: domain.Restore(portstest.FilledState(t, session))}, nil
	}))
	old := func(statement string) {
		t.Helper()
		require.NoError(t, db.Exec(statement, map[string]any{"session": session, "at": at}).Error, statement)
	}
	old(`UPDATE mappings SET room_phase = 'open', room_sid = 'RM_3', revision = revision + 1 WHERE session_id = @session`)
	old(`UPDATE participants SET presence = 'present', participant_sid = 'PA_5', joined_at = @at, window_reason = NULL, window_parting = NULL,
		window_told = false, window_since = NULL, window_deadline = NULL WHERE session_id = @session AND identity = 'alice#phone'`)
	old(`UPDATE tracks SET open = false WHERE session_id = @session AND track_sid = 'TR_open'`)
	state := stateOf(t, s, session)
	require.Equal(t, domain.Told, state.Room.Evidence)
	require.NotContains(t, state.Room.Finished, "RM_3")
	alice := state.Participants["alice#phone"]
	require.Equal(t, domain.GracePeriod{}, alice.Grace)
	require.False(t, alice.Unanswered, "another connection is there")
	require.NotContains(t, alice.Ended, "PA_5", "the ends are those of other connections")
	require.Equal(t, domain.Inferred, alice.Tracks["TR_open"].Evidence, "how it ended is not known")

	old(`UPDATE mappings SET room_phase = 'finished', revision = revision + 1 WHERE session_id = @session`)
	require.Equal(t, domain.Inferred, stateOf(t, s, session).Room.Evidence, "no finish of this room was told")
	require.NoError(t, s.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: m.Learn(100)}, nil
	}))
	require.Equal(t, domain.Inferred, stateOf(t, s, session).Room.Evidence)
}

// TestEvidenceMigrationDown has the earlier version work again on what this one has stored.
func TestEvidenceMigrationDown(t *testing.T) {
	db, url := evidenceDatabase(t)
	require.NoError(t, libpostgres.Migrate(t.Context(), url, migrations.Files, migrations.Dir))
	s := NewStore(db, func(*outbox.Added) {})
	looked, graced, written := newID(t), newID(t), newID(t)
	deadline := at.Add(time.Hour).Truncate(time.Microsecond)
	for session, change := range map[string]func(*domain.State){
		looked: func(state *domain.State) { state.Participants = nil },
		graced: func(state *domain.State) {
			p := state.Participants["alice#phone"]
			p.Grace.Deadline, p.Grace.DeniedAt = deadline, time.Time{}
			state.Participants = map[string]domain.Participant{p.Identity: p}
		},
	} {
		require.NoError(t, s.ChangeSession(t.Context(), session, func(domain.Mapping) (ports.Change, error) {
			state := portstest.FilledState(t, session)
			change(&state)
			return ports.Change{Mapping: domain.Restore(state), Permissions: []domain.DesiredPermission{
				{Identity: "alice#phone#second", Removed: true},
				{Identity: "alice#phone", UserID: "alice", Role: events.RoleHost},
			}}, nil
		}))
	}
	require.Equal(t, 2, count(t, s, "windows"))
	require.Equal(t, 4, count(t, s, "standings"))
	text, err := migrations.Files.ReadFile(evidenceMigration)
	require.NoError(t, err)
	_, down, _ := strings.Cut(string(text), "-- +goose Down")
	require.NoError(t, db.Exec(down).Error)

	writeOld(t, db, written)
	require.Equal(t, 2, count(t, s, "standings"), "of a participant, and the one written now")
	var next time.Time
	require.Equal(t, 2, count(t, s, "windows"), "of a grace period, and the one written now")
	require.NoError(t, db.Raw(`SELECT next_attempt_at FROM windows WHERE session_id = ?`, graced).Row().Scan(&next))
	require.True(t, next.Equal(deadline), next)
	require.Error(t, db.Exec(`UPDATE standings SET user_id = ''`).Error)
	require.NoError(t, db.Exec(`DELETE FROM goose_db_version WHERE version_id = 7`).Error)
	require.NoError(t, libpostgres.Migrate(t.Context(), url, migrations.Files, migrations.Dir))
	requireOldEvidence(t, stateOf(t, s, written))
}

func TestEvidenceConstraints(t *testing.T) {
	db, url := evidenceDatabase(t)
	require.NoError(t, libpostgres.Migrate(t.Context(), url, migrations.Files, migrations.Dir))
	writeOld(t, db, newID(t))
	for name, statement := range map[string]string{
		"a room with unknown evidence":      `UPDATE mappings SET room_evidence = 'heard'`,
		"finished rooms that are no list":   `UPDATE mappings SET finished_room_sids = '{}'`,
		"evidence of a room that is unseen": `UPDATE mappings SET room_evidence = 'told', room_phase = 'unseen', room_sid = NULL, first_room_sid = NULL`,
		"a finish of a room that is unseen": `UPDATE mappings SET room_finished_at = now(), room_phase = 'unseen', room_sid = NULL, first_room_sid = NULL`,
		"a connection that is inferred":     `UPDATE participants SET evidence = 'inferred'`,
		"ends that are no list":             `UPDATE participants SET ended_sids = '"PA_1"'`,
		"evidence of no connection":         `UPDATE participants SET evidence = 'told', participant_sid = NULL, joined_at = NULL, presence = 'absent'`,
		"a denial of no connection":         `UPDATE participants SET grace_denied_at = now(), participant_sid = NULL, joined_at = NULL, presence = 'absent'`,
		"a track with unknown evidence":     `UPDATE tracks SET evidence = ''`,
		"an open track that is inferred":    `UPDATE tracks SET evidence = 'inferred', open = true, awaits = NULL`,
		"a negative episode of a track":     `UPDATE tracks SET episode = -1`,
		"a role of no user":                 `UPDATE standings SET user_id = ''`,
		"a removal of no identity":          `UPDATE standings SET identity = '', role = NULL`,
		"a removal of an identity too long": `UPDATE standings SET identity = repeat('x', 1025), role = NULL`,
	} {
		err := db.Exec(statement).Error
		require.Error(t, err, name)
		require.Contains(t, err.Error(), "23514", "%s: check_violation", name)
	}
}

// TestAsStored compares what the cache holds of a state with what PostgreSQL returns of it: times
// have microseconds.
func TestAsStored(t *testing.T) {
	db, url := evidenceDatabase(t)
	require.NoError(t, libpostgres.Migrate(t.Context(), url, migrations.Files, migrations.Dir))
	s, session := NewStore(db, func(*outbox.Added) {}), newID(t)
	state := finer(reflect.ValueOf(portstest.FilledState(t, session))).Interface().(domain.State)
	require.NoError(t, s.ChangeSession(t.Context(), session, func(domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: domain.Restore(state)}, nil
	}))
	require.NotEqual(t, state, asStored(state))
	require.Equal(t, stateOf(t, s, session), asStored(state))
}

// finer returns a copy of a value in which each time is 789 nanoseconds later.
func finer(v reflect.Value) reflect.Value {
	if at, isTime := v.Interface().(time.Time); isTime {
		if !at.IsZero() {
			at = at.Add(789)
		}
		return reflect.ValueOf(at)
	}
	switch v.Kind() {
	case reflect.Map:
		made := reflect.MakeMap(v.Type())
		for _, key := range v.MapKeys() {
			made.SetMapIndex(key, finer(v.MapIndex(key)))
		}
		return made
	case reflect.Struct:
		made := reflect.New(v.Type()).Elem()
		for n := range v.NumField() {
			made.Field(n).Set(finer(v.Field(n)))
		}
		return made
	default:
		return v
	}
}

//go:build integration

package postgres_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/adapters/system"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestAudit(t *testing.T) {
	portstest.Audit(t, func(t *testing.T) portstest.AuditUnderTest {
		store := postgres.NewStore(open(t), "call.events", func(...string) {})
		return portstest.AuditUnderTest{StoreUnderTest: portstest.StoreUnderTest{Store: store}, Audit: store, SetsAside: store}
	})
}

// aLoggedCall is a call that goes on, with more events than are read at once.
func aLoggedCall(t *testing.T, store *postgres.Store, more int) (id string) {
	t.Helper()
	session, log := portstest.NewSession(t)
	id = session.ID()
	_, err := store.Create(t.Context(), session, log)
	require.NoError(t, err)
	apply := app.ApplyEvent{Store: store, Clock: system.Clock{}, IDs: system.IDs{}, Counters: &memory.Counters{}}
	for _, payload := range []events.Payload{portstest.Connected(id, "alice"), portstest.Joined(id, "alice"), portstest.Published(id, "alice", "TR_1")} {
		require.NoError(t, apply.Do(t.Context(), portstest.Fact(t, id, portstest.NewID(t), payload)))
	}
	for range more {
		require.NoError(t, apply.Do(t.Context(), portstest.Said(t, id, portstest.NewID(t), portstest.Spoken("yes"))))
	}
	return id
}

// verify returns the fields that differ, by session.
func verify(t *testing.T, store *postgres.Store) (app.Verified, map[string][]string) {
	t.Helper()
	found := map[string][]string{}
	verified, err := app.VerifySessions{
		Audit: store, Progress: func(int) {},
		Differs: func(id string, differences []domain.Difference) {
			for _, d := range differences {
				found[id] = append(found[id], d.Field)
			}
		},
	}.All(t.Context())
	require.NoError(t, err)
	return verified, found
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	db := open(t)
	store := postgres.NewStore(db, "call.events", func(...string) {})
	long := aLoggedCall(t, store, 600)
	verified, found := verify(t, store)
	require.Equal(t, app.Verified{Sessions: 1}, verified)
	require.Empty(t, found)
	require.NoError(t, db.Exec("DELETE FROM events WHERE session_id = ? AND seq = 550", long).Error)

	want := map[string][]string{long: {"log"}}
	for name, change := range map[string]struct {
		statement string
		fields    []string
	}{
		"a status":              {"UPDATE sessions SET status = 'reconnecting' WHERE id = @id", []string{"status"}},
		"an end":                {"UPDATE sessions SET status = 'ended', ended_at = started_at WHERE id = @id", []string{"status", "endedAt"}},
		"a title and a version": {"UPDATE sessions SET title = NULL, version = 9 WHERE id = @id", []string{"title", "version"}},
		"metadata":              {`UPDATE sessions SET metadata = '{"big":1}' WHERE id = @id`, []string{"metadata"}},
		"the last event":        {"UPDATE sessions SET last_event_id = gen_random_uuid() WHERE id = @id", []string{"lastEventId"}},
		"a member":              {"INSERT INTO members (session_id, user_id, role) VALUES (@id, 'mallory', 'viewer')", []string{"member mallory"}},
		"the owner's role":      {"UPDATE members SET role = 'viewer' WHERE session_id = @id AND user_id = 'alice'", []string{"member alice"}},
		"a forged presence": {
			"INSERT INTO participants VALUES (@id, 'mallory#1', 'mallory', 'present', now(), '[]')", []string{"participant mallory#1"},
		},
		"who has left":        {"UPDATE participants SET presence = 'left' WHERE session_id = @id", []string{"participant alice#default"}},
		"a removed event":     {"DELETE FROM events WHERE session_id = @id AND seq = 3", []string{"log", "participant alice#default"}},
		"the last of the log": {"DELETE FROM events WHERE session_id = @id AND seq = 4", []string{"lastEventId", "participant alice#default"}},
		"the whole log":       {"DELETE FROM events WHERE session_id = @id", []string{"lastEventId", "log"}},
		"the beginning":       {"DELETE FROM events WHERE session_id = @id AND seq = 1", []string{"log", "event 2"}},
		"an altered event": {
			`UPDATE events SET envelope = replace(envelope::text, '"RM_1"', '"RM_2"')::json WHERE session_id = @id AND seq = 2`,
			[]string{"event 2", "correlation"},
		},
	} {
		id := aLoggedCall(t, store, 0)
		changed := db.Exec(change.statement, map[string]any{"id": id})
		require.NoError(t, changed.Error, name)
		require.Positive(t, changed.RowsAffected, name)
		want[id] = change.fields
	}
	verified, found = verify(t, store)
	require.Equal(t, want, found)
	require.Equal(t, app.Verified{Sessions: len(want), Differing: len(want)}, verified)
}

// TestVerifyGoesOnBesideTheService verifies while sessions change: nothing that is half done is seen.
func TestVerifyGoesOnBesideTheService(t *testing.T) {
	db := open(t)
	store := postgres.NewStore(db, "call.events", func(...string) {})
	ids := make([]string, 4)
	for i := range ids {
		ids[i] = aLoggedCall(t, store, 0)
	}
	stop, done := make(chan struct{}), make(chan error, len(ids))
	apply := app.ApplyEvent{Store: store, Clock: system.Clock{}, IDs: system.IDs{}, Counters: &memory.Counters{}}
	for _, id := range ids {
		go func() { done <- changeOften(t, apply, id, stop) }()
	}
	for range 20 {
		verified, found := verify(t, store)
		if len(found) > 0 || verified.Sessions != len(ids) {
			t.Errorf("%d sessions, differences: %v", verified.Sessions, found)
		}
	}
	close(stop)
	for range ids {
		require.NoError(t, <-done)
	}
	require.Greater(t, logged(t, db), int64(8*len(ids)), "they did change meanwhile")
}

func changeOften(t *testing.T, apply app.ApplyEvent, id string, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		for _, payload := range []events.Payload{portstest.Joined(id, "bob"), portstest.Left(id, "bob"), portstest.Spoken("yes")} {
			event := portstest.Fact
			if payload.EventType() == events.TranscriptFinal {
				event = portstest.Said
			}
			if err := apply.Do(t.Context(), event(t, id, portstest.NewID(t), payload)); err != nil {
				return fmt.Errorf("change session %s: %w", id, err)
			}
		}
	}
}

func logged(t *testing.T, db *gorm.DB) int64 {
	t.Helper()
	var count int64
	require.NoError(t, db.Raw("SELECT count(*) FROM events").Scan(&count).Error)
	return count
}

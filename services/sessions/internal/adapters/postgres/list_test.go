//go:build integration

package postgres_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestLists(t *testing.T) {
	portstest.Lists(t, func(t *testing.T) portstest.StoreUnderTest {
		db := open(t)
		return portstest.StoreUnderTest{
			Store:      postgres.NewStore(db, "call.events", func(...string) {}),
			Outbox:     func() []json.RawMessage { return outboxOf(t, db) },
			Quarantine: func() []ports.Quarantined { return quarantineOf(t, db) },
		}
	})
}

func TestCursorKeyIsTheDatabases(t *testing.T) {
	url, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
	db := connect(t, url)
	first, err := postgres.NewStore(db, "call.events", func(...string) {}).CursorKey(t.Context())
	require.NoError(t, err)
	require.Len(t, first, 32)
	store := postgres.NewStore(connect(t, url), "call.events", func(...string) {})
	for range 2 {
		again, err := store.CursorKey(t.Context())
		require.NoError(t, err)
		require.Equal(t, first, again, "on another replica too")
	}
	require.NoError(t, db.Exec("DELETE FROM cursor_keys").Error)
	_, err = postgres.NewStore(db, "call.events", func(...string) {}).CursorKey(t.Context())
	require.ErrorContains(t, err, "is gone")
	require.NotErrorIs(t, err, ports.ErrUnavailable)
}

// TestAnOlderVersionsMembersAreListed: it inserts members without what it does not know, beside the session.
func TestAnOlderVersionsMembersAreListed(t *testing.T) {
	db := open(t)
	store := postgres.NewStore(db, "call.events", func(...string) {})
	session, log := portstest.NewSession(t)
	_, err := store.Create(t.Context(), session, log)
	require.NoError(t, err)
	require.NoError(t, db.Exec("INSERT INTO members (session_id, user_id, role) VALUES (?, 'dave', 'viewer')", session.ID()).Error)
	list, err := store.List(testkit.Context(t, time.Minute), ports.ListRequest{UserID: "dave", Limit: 1})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
}

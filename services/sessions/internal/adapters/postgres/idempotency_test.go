//go:build integration

package postgres_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestIdempotencyStore(t *testing.T) {
	portstest.IdempotencyStore(t, func(t *testing.T) portstest.KeyedUnderTest {
		db := open(t)
		store := postgres.NewStore(db, "call.events", func(...string) {})
		return portstest.KeyedUnderTest{
			StoreUnderTest: portstest.StoreUnderTest{
				Store:      store,
				Outbox:     func() []json.RawMessage { return outboxOf(t, db) },
				Quarantine: func() []ports.Quarantined { return quarantineOf(t, db) },
			},
			Keys: store,
		}
	})
}

func keyedRequest() ports.KeyedRequest {
	return ports.KeyedRequest{
		UserID: "alice", Key: "k", Fingerprint: sha256.Sum256(nil), At: portstest.Start, KeepUntil: portstest.Start.Add(time.Hour),
	}
}

func creation(t *testing.T, store ports.SessionStore) (ports.Response, error) {
	session, log := portstest.NewSession(t)
	if _, err := store.Create(t.Context(), session, log); err != nil {
		return ports.Response{}, err
	}
	return ports.Response{Status: 201, Body: []byte(session.ID())}, nil
}

// cut ends every other connection to the database, as a crash of this service's process or the network does.
func cut(t *testing.T, db *gorm.DB) {
	t.Helper()
	require.NoError(t, db.Exec(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`).Error)
}

func count(t *testing.T, db *gorm.DB, table string) int64 {
	t.Helper()
	var n int64
	require.NoError(t, db.Table(table).Count(&n).Error)
	return n
}

// TestACrashBetweenTheStepsOfAKeyedCreateLeavesNothing cuts the transaction after each of its steps; the retry gives exactly one session.
func TestACrashBetweenTheStepsOfAKeyedCreateLeavesNothing(t *testing.T) {
	for name, work := range map[string]func(store ports.SessionStore, cut func()) (ports.Response, error){
		"after the key": func(store ports.SessionStore, cut func()) (ports.Response, error) {
			cut()
			return creation(t, store)
		},
		"after the session": func(store ports.SessionStore, cut func()) (ports.Response, error) {
			defer cut()
			return creation(t, store)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
			db, watcher := connect(t, url), connect(t, url)
			store := postgres.NewStore(db, "call.events", func(...string) { t.Error("the relay was woken for nothing") })
			_, _, err := store.Once(t.Context(), keyedRequest(), func(inner ports.SessionStore) (ports.Response, error) {
				return work(inner, func() { cut(t, watcher) })
			})
			require.ErrorIs(t, err, ports.ErrUnavailable)
			for _, table := range []string{"sessions", "outbox", "idempotency_keys"} {
				require.Zero(t, count(t, watcher, table), table)
			}
			woken := 0
			retry := postgres.NewStore(db, "call.events", func(...string) { woken++ })
			var responses []ports.Response
			for range 2 {
				response, _, err := retry.Once(t.Context(), keyedRequest(), func(inner ports.SessionStore) (ports.Response, error) {
					return creation(t, inner)
				})
				require.NoError(t, err)
				responses = append(responses, response)
			}
			require.Equal(t, responses[0].Body, responses[1].Body)
			require.EqualValues(t, 1, count(t, watcher, "sessions"))
			require.EqualValues(t, 1, count(t, watcher, "outbox"))
			require.Equal(t, 1, woken, "by the commit alone")
		})
	}
}

// TestTwoReplicasWithOneKey: what holds for racing repeats in one process holds over processes.
func TestTwoReplicasWithOneKey(t *testing.T) {
	url, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
	replicas := []*postgres.Store{
		postgres.NewStore(connect(t, url), "call.events", func(...string) {}), postgres.NewStore(connect(t, url), "call.events", func(...string) {}),
	}
	const callers = 50
	responses := make([]ports.Response, callers)
	var group errgroup.Group
	for i := range callers {
		group.Go(func() (err error) {
			responses[i], _, err = portstest.OncePatiently(t.Context(), replicas[i%2], keyedRequest(), func(inner ports.SessionStore) (ports.Response, error) {
				return creation(t, inner)
			})
			return err
		})
	}
	require.NoError(t, group.Wait())
	for _, response := range responses {
		require.Equal(t, responses[0].Body, response.Body)
	}
	require.EqualValues(t, 1, count(t, connect(t, url), "sessions"))
}

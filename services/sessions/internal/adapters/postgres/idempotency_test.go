//go:build integration

package postgres_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
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

// waiting waits until n statements of this database wait for a lock.
func waiting(t *testing.T, db *gorm.DB, n int64) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func(context.Context) error {
		var found int64
		err := db.Raw("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&found).Error
		if err == nil && found < n {
			err = fmt.Errorf("%d of %d wait", found, n)
		}
		return err
	})
}

// TestARepeatWaitsOnceHoweverManyComeBeforeIt: when the first request fails and another one takes over, a repeat does not begin to wait anew.
// An old row gives the order in which they come.
func TestARepeatWaitsOnceHoweverManyComeBeforeIt(t *testing.T) {
	url, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
	db := connect(t, url)
	store := postgres.NewStore(db, "call.events", func(...string) {})
	old := keyedRequest()
	old.At, old.KeepUntil = old.At.Add(-48*time.Hour), old.At.Add(-24*time.Hour)
	_, _, err := store.Once(t.Context(), old, func(inner ports.SessionStore) (ports.Response, error) { return creation(t, inner) })
	require.NoError(t, err)

	const lock = "SELECT 1 FROM idempotency_keys FOR UPDATE"
	first := db.Begin()
	require.NoError(t, first.Exec(lock).Error)
	second, queued, released := connect(t, url).Begin(), make(chan error, 1), make(chan error, 2)
	go func() { queued <- second.Exec(lock).Error }()
	waiting(t, db, 1)
	repeat := make(chan error, 1)
	// The first gives up just before the repeat's patience ends, the second long after it and before a second patience would.
	time.AfterFunc(ports.IdempotencyPatience*9/10, func() { released <- first.Rollback().Error })
	time.AfterFunc(ports.IdempotencyPatience*17/10, func() {
		err := <-queued
		released <- errors.Join(err, second.Rollback().Error)
	})
	go func() {
		_, _, err := store.Once(t.Context(), keyedRequest(), func(inner ports.SessionStore) (ports.Response, error) { return creation(t, inner) })
		repeat <- err
	}()
	told := <-repeat
	for range 2 {
		require.NoError(t, <-released)
	}
	require.ErrorIs(t, told, ports.ErrIdempotencyInProgress)
}

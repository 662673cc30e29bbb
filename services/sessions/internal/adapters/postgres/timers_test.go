//go:build integration

package postgres_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/adapters/system"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// pass puts everybody's wait back by as much.
func pass(t testing.TB, db *gorm.DB, by time.Duration) {
	t.Helper()
	require.NoError(t, db.Exec(`UPDATE sessions SET activation_from = activation_from - ? * interval '1 microsecond'`, by.Microseconds()).Error)
}

func TestTimers(t *testing.T) {
	portstest.Timers(t, func(t *testing.T) portstest.TimersUnderTest {
		db := open(t)
		store := postgres.NewStore(db, "call.events", func(...string) {})
		return portstest.TimersUnderTest{
			StoreUnderTest: portstest.StoreUnderTest{
				Store: store, Outbox: func() []json.RawMessage { return outboxOf(t, db) }, Quarantine: func() []ports.Quarantined { return quarantineOf(t, db) },
			},
			Activations: store, Retention: store, Pass: func(by time.Duration) { pass(t, db, by) },
		}
	})
}

// replicas are workers of several processes on one database.
type replicas struct {
	t        *testing.T
	db       *gorm.DB
	store    *postgres.Store
	presence *memory.Presence
	counters *memory.Counters
}

func newReplicas(t *testing.T) *replicas {
	db := open(t)
	return &replicas{
		t: t, db: db, store: postgres.NewStore(db, "call.events", func(...string) {}), presence: &memory.Presence{}, counters: &memory.Counters{},
	}
}

func (r *replicas) worker(presence ports.MediaPresence) app.ExpireActivations {
	return app.ExpireActivations{
		Activations: r.store, Store: r.store, Presence: presence, Clock: system.Clock{}, IDs: system.IDs{}, Counters: r.counters,
		Log: slog.New(slog.DiscardHandler), Timeout: time.Hour, Poll: 10 * time.Millisecond,
	}
}

func (r *replicas) create(n int) []string {
	r.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		session, log := portstest.NewSession(r.t)
		_, err := r.store.Create(r.t.Context(), session, log)
		require.NoError(r.t, err)
		ids[i] = session.ID()
	}
	return ids
}

func (r *replicas) count(query string, args ...any) int {
	r.t.Helper()
	var n int
	require.NoError(r.t, r.db.Raw(query, args...).Scan(&n).Error)
	return n
}

func TestTwoReplicasFailEachOverdueSessionOnce(t *testing.T) {
	r := newReplicas(t)
	ids := r.create(60)
	pass(t, r.db, time.Hour)
	late := r.create(3)
	group, ctx := errgroup.WithContext(t.Context())
	for range 2 {
		group.Go(func() error { return r.worker(r.presence).Due(ctx) })
	}
	require.NoError(t, group.Wait())
	require.ElementsMatch(t, ids, r.presence.Asked(), "each is asked about once")
	require.Equal(t, len(ids), r.counters.Count("deadline", "failed"))
	require.Equal(t, len(ids), r.count(`SELECT count(*) FROM sessions WHERE status = 'failed' AND error_code = 'activation_timeout' AND version = 2`))
	require.Equal(t, len(ids), r.count(`SELECT count(*) FROM events WHERE type = 'call.failed'`))
	require.Equal(t, len(ids), r.count(`SELECT count(*) FROM outbox WHERE routing_key = 'call.failed'`))
	require.Equal(t, len(late), r.count(`SELECT count(*) FROM sessions WHERE status = 'created'`))
}

// dying stops its worker after the claim, before anything is decided.
type dying struct{ die context.CancelFunc }

func (d dying) Ask(context.Context, string, int64) (ports.CallPresence, error) {
	d.die()
	return ports.CallPresence{}, nil
}

func TestWhatACrashedReplicaHadClaimedIsTakenAgainAfterTheLease(t *testing.T) {
	r := newReplicas(t)
	ids := r.create(5)
	pass(t, r.db, time.Hour)
	ctx, die := context.WithCancel(t.Context())
	require.ErrorIs(t, r.worker(dying{die}).Due(ctx), context.Canceled)
	require.Equal(t, len(ids), r.count(`SELECT count(*) FROM sessions WHERE status = 'created' AND activation_claims = 1`))
	survivor := r.worker(r.presence)
	require.NoError(t, survivor.Due(t.Context()))
	require.Empty(t, r.presence.Asked(), "the lease has not passed")
	pass(t, r.db, time.Minute)
	require.NoError(t, survivor.Due(t.Context()))
	require.ElementsMatch(t, ids, r.presence.Asked())
	require.Equal(t, len(ids), r.count(`SELECT count(*) FROM sessions WHERE status = 'failed'`))
}

func TestLiveCallsOutliveTheirDeadlineOnEveryReplica(t *testing.T) {
	r := newReplicas(t)
	ids := r.create(8)
	pass(t, r.db, time.Hour)
	r.presence.Show(ports.CallPresence{Connected: true}, nil)
	for range 3 {
		group, ctx := errgroup.WithContext(t.Context())
		for range 2 {
			group.Go(func() error { return r.worker(r.presence).Due(ctx) })
		}
		require.NoError(t, group.Wait())
		pass(t, r.db, 10*time.Minute)
		r.presence.Show(ports.CallPresence{}, ports.ErrProviderUnavailable)
	}
	require.Equal(t, len(ids), r.count(`SELECT count(*) FROM sessions WHERE status = 'created' AND activation_claims = 3`))
	require.Equal(t, 3*len(ids), r.counters.Count("deadline", "postponed"))
}

// TestAJoinRacesWithTheDeadline: whichever comes first under the lock decides, and the log says the same as the state.
func TestAJoinRacesWithTheDeadline(t *testing.T) {
	r := newReplicas(t)
	ids := r.create(20)
	pass(t, r.db, time.Hour)
	apply := app.ApplyEvent{Store: r.store, Clock: system.Clock{}, IDs: system.IDs{}, Counters: r.counters}
	var racing sync.WaitGroup
	racing.Go(func() { require.NoError(t, r.worker(r.presence).Due(t.Context())) })
	for _, id := range ids {
		racing.Go(func() {
			require.NoError(t, apply.Do(t.Context(), portstest.Fact(t, id, portstest.NewID(t), portstest.Connected(id, "alice"))))
		})
	}
	racing.Wait()
	for _, id := range ids {
		view, err := r.store.Get(t.Context(), ports.System(), id)
		require.NoError(t, err)
		page, err := r.store.Events(t.Context(), ports.System(), id, ports.PageRequest{Limit: 10, Types: []events.Type{events.CallConnected, events.CallFailed}})
		require.NoError(t, err)
		require.Len(t, page.Items, 1, "joined or failed, never both")
		var envelope events.Envelope
		require.NoError(t, json.Unmarshal(page.Items[0], &envelope))
		require.Equal(t, map[events.Type]events.Status{
			events.CallConnected: events.StatusActive, events.CallFailed: events.StatusFailed,
		}[envelope.Type], view.Session.Status())
		require.Equal(t, envelope.Type == events.CallFailed, r.count(`SELECT count(*) FROM quarantine WHERE session_id = ?`, id) == 1)
	}
}

func TestDeletedSessionsLeaveNothingBehind(t *testing.T) {
	r := newReplicas(t)
	ids := r.create(3)
	apply := app.ApplyEvent{Store: r.store, Clock: system.Clock{}, IDs: system.IDs{}, Counters: r.counters}
	for _, id := range ids {
		for _, payload := range []events.Payload{portstest.Connected(id, "alice"), portstest.Joined(id, "alice"), portstest.Left(id, "bob")} {
			require.NoError(t, apply.Do(t.Context(), portstest.Fact(t, id, portstest.NewID(t), payload)))
		}
		_, err := r.store.Update(t.Context(), ports.System(), id, func(session *domain.Session) ([]ports.Entry, error) {
			ended := events.StatusEnded
			drafts, err := session.Patch(domain.Patch{Status: &ended}, portstest.Alice, portstest.Start.Add(time.Hour))
			return portstest.Seal(t, id, drafts, portstest.Start.Add(time.Hour)), err
		})
		require.NoError(t, err)
	}
	require.Equal(t, 3, r.count(`SELECT count(*) FROM quarantine`))
	require.NoError(t, app.DeleteOldSessions{
		Retention: r.store, Counters: r.counters, Log: slog.New(slog.DiscardHandler), Keep: time.Second,
	}.Do(t.Context()))
	for _, table := range []string{"sessions", "members", "participants", "events", "quarantine"} {
		require.Zero(t, r.count(`SELECT count(*) FROM `+table), table)
	}
}

func TestTimersTellThatTheDatabaseIsAway(t *testing.T) {
	store := postgres.NewStore(connect(t, "postgres://nobody:nothing@127.0.0.1:1/none"), "call.events", func(...string) {})
	ctx := testkit.Context(t, 10*time.Second)
	_, err := store.ClaimOverdue(ctx, time.Minute, 1, time.Minute)
	require.ErrorIs(t, err, ports.ErrUnavailable)
	_, _, err = store.NextOverdue(ctx, time.Minute)
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.ErrorIs(t, store.Postpone(ctx, ports.OverdueActivation{SessionID: portstest.NewID(t)}, time.Minute, time.Minute), ports.ErrUnavailable)
	_, err = store.DeleteFinal(ctx, time.Hour, 1)
	require.ErrorIs(t, err, ports.ErrUnavailable)
}

//go:build integration

package postgres

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// replica is a store of its own on a database that others share.
type replica struct {
	*Store
	mu       sync.Mutex
	appended []int64 // the Seq of all that it told
}

// twoReplicas have a session that the first one may rely on.
func twoReplicas(t *testing.T) (a, b *replica, id string) {
	t.Helper()
	url, _ := testkit.Postgres(t).Database(t, "sessions", func(url string) error {
		return libpostgres.Migrate(context.Background(), url, Migrations, MigrationsDir)
	})
	open := func() *replica {
		db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{MaxOpenConns: 8})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
		r := &replica{Store: NewStore(db, "call.events", func(...string) {})}
		r.Follow(func(added ports.Appended) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, entry := range added.Entries {
				r.appended = append(r.appended, entry.Seq)
			}
		})
		return r
	}
	a, b = open(), open()
	session, log := portstest.NewSession(t)
	_, err := a.Create(t.Context(), session, log)
	require.NoError(t, err)
	id = session.ID()
	for _, payload := range []events.Payload{portstest.Connected(id, "alice"), portstest.Joined(id, "alice")} {
		require.Equal(t, domain.Append, a.take(t, portstest.Fact(t, id, portstest.NewID(t), payload)))
	}
	_, _, known := a.left.Recall(id)
	require.True(t, known)
	return a, b, id
}

func decideOn(t *testing.T, fact events.Accepted, decision *domain.Decision) func(*domain.Session, *domain.Digest) (ports.Intake, error) {
	return func(session *domain.Session, logged *domain.Digest) (ports.Intake, error) {
		if session == nil {
			*decision = domain.Quarantine
			return ports.Intake{}, nil
		}
		now := portstest.Start.Add(time.Minute)
		verdict := session.Observe(fact, logged, now)
		if *decision = verdict.Decision; verdict.Decision != domain.Append {
			return ports.Intake{}, nil
		}
		entry := ports.Entry{Event: fact.Envelope, JSON: fact.Raw, Digest: fact.Digest, AppendedAt: now}
		return ports.Intake{Entries: append([]ports.Entry{entry}, portstest.Seal(t, session.ID(), verdict.Drafts, now)...)}, nil
	}
}

func (r *replica) take(t *testing.T, fact events.Accepted) domain.Decision {
	t.Helper()
	var decision domain.Decision
	require.NoError(t, r.Take(t.Context(), fact, decideOn(t, fact, &decision)))
	return decision
}

// asLeft tells whether the event is taken in without the session being read.
func (r *replica) asLeft(t *testing.T, fact events.Accepted) bool {
	t.Helper()
	var decision domain.Decision
	taken, err := r.takeAsLeft(t.Context(), fact, decideOn(t, fact, &decision))
	require.NoError(t, err)
	return taken
}

func (r *replica) retitle(t *testing.T, id, title string) error {
	_, err := r.Update(t.Context(), ports.System(), id, func(session *domain.Session) ([]ports.Entry, error) {
		drafts, err := session.Patch(domain.Patch{Title: events.Some(title)}, portstest.Alice, portstest.Start.Add(time.Minute))
		return portstest.Seal(t, id, drafts, portstest.Start.Add(time.Minute)), err
	})
	return err
}

// logOf holds the log to the state that is stored, and what is remembered of that state to it, and returns the ids of its events.
func (r *replica) logOf(t *testing.T, id string) []string {
	t.Helper()
	var ids []string
	require.NoError(t, r.Examine(t.Context(), id, func(examined ports.Examined) error {
		var replayer domain.Replayer
		for row, err := range examined.Log {
			require.NoError(t, err)
			envelope := events.Envelope{}
			require.NoError(t, json.Unmarshal(row.JSON, &envelope))
			require.NoError(t, replayer.Add(domain.Logged{Envelope: envelope, AppendedAt: row.AppendedAt}))
			require.EqualValues(t, len(ids)+1, row.Seq)
			ids = append(ids, row.EventID)
		}
		replayed, err := replayer.Snapshot()
		require.NoError(t, err)
		require.Empty(t, domain.Differences(examined.Stored, replayed))
		require.EqualValues(t, len(ids), examined.LastSeq)
		require.Equal(t, ids[len(ids)-1], examined.LastEventID)
		if found, state, known := r.left.Recall(id); known && found.seq == examined.LastSeq {
			require.Equal(t, examined.LastEventID, found.eventID)
			require.Empty(t, domain.Differences(examined.Stored, state))
		}
		return nil
	}))
	return ids
}

func said(t *testing.T, id string) events.Accepted {
	t.Helper()
	return portstest.Said(t, id, portstest.NewID(t), portstest.Spoken("yes"))
}

func TestAnEventIsTakenInAsTheSessionWasLeft(t *testing.T) {
	a, _, id := twoReplicas(t)
	for _, fact := range []events.Accepted{
		portstest.Fact(t, id, portstest.NewID(t), portstest.Published(id, "alice", "TR_1")), said(t, id),
		portstest.Fact(t, id, portstest.NewID(t), portstest.Joined(id, "bob")),
		portstest.Fact(t, id, portstest.NewID(t), portstest.Left(id, "alice")),
	} {
		require.True(t, a.asLeft(t, fact))
		log := a.logOf(t, id)
		require.Equal(t, fact.EventID, log[len(log)-1])
		require.EqualValues(t, len(log), a.appended[len(a.appended)-1], "it is told")
	}
	require.NoError(t, a.retitle(t, id, "changed here"))
	require.True(t, a.asLeft(t, said(t, id)), "what this store changes otherwise it knows as well")
}

func TestWhatTheLogHasIsNotTakenInAsTheSessionWasLeft(t *testing.T) {
	a, _, id := twoReplicas(t)
	fact := said(t, id)
	require.True(t, a.asLeft(t, fact))
	log := a.logOf(t, id)
	require.False(t, a.asLeft(t, fact))
	require.Equal(t, domain.Duplicate, a.take(t, fact))
	require.Equal(t, log, a.logOf(t, id))
	require.True(t, a.asLeft(t, said(t, id)), "it knows the session as before")
}

func TestASessionThatOthersHaveChangedIsRead(t *testing.T) {
	a, b, id := twoReplicas(t)
	require.NoError(t, b.retitle(t, id, "changed elsewhere"))
	log := a.logOf(t, id)
	fact := said(t, id)
	require.False(t, a.asLeft(t, fact))
	require.Equal(t, log, a.logOf(t, id), "it did nothing")
	require.Equal(t, domain.Append, a.take(t, fact))
	view, err := a.Get(t.Context(), ports.System(), id)
	require.NoError(t, err)
	require.Equal(t, "changed elsewhere", *view.Session.Snapshot().Title)
	a.logOf(t, id)
}

// TestADatabaseThatWasSetBack gives the number of an event that it has lost to another one.
func TestADatabaseThatWasSetBack(t *testing.T) {
	a, b, id := twoReplicas(t)
	before := a.logOf(t, id)
	require.True(t, a.asLeft(t, portstest.Fact(t, id, portstest.NewID(t), portstest.Joined(id, "bob"))))
	for _, statement := range []string{
		"DELETE FROM events WHERE session_id = @id AND seq = @lost", "DELETE FROM participants WHERE session_id = @id AND identity LIKE 'bob%'",
		"UPDATE sessions SET last_seq = @lost - 1, last_event_id = @last WHERE id = @id",
	} {
		args := map[string]any{"id": id, "lost": len(before) + 1, "last": before[len(before)-1]}
		require.NoError(t, a.db.Exec(statement, args).Error, statement)
	}
	require.Equal(t, domain.Append, b.take(t, said(t, id)))
	require.Len(t, b.logOf(t, id), len(before)+1)
	fact := portstest.Fact(t, id, portstest.NewID(t), portstest.Published(id, "bob", "TR_1"))
	require.False(t, a.asLeft(t, fact), "Bob is not in the call")
	require.Equal(t, domain.Quarantine, a.take(t, fact))
	b.logOf(t, id)
}

func TestASessionThatIsGoneIsNotTakenForTheOneThatWasLeft(t *testing.T) {
	a, _, id := twoReplicas(t)
	require.NoError(t, a.db.Exec("DELETE FROM sessions WHERE id = ?", id).Error)
	require.False(t, a.asLeft(t, said(t, id)))
	require.Equal(t, domain.Quarantine, a.take(t, said(t, id)))
	_, _, known := a.left.Recall(id)
	require.False(t, known)
}

// TestReplicasThatChangeOneSession give every event to both, in any order, while others change the session through either: each event is in
// the log once, each entry is told once, and the log replays to what is stored.
func TestReplicasThatChangeOneSession(t *testing.T) {
	a, b, id := twoReplicas(t)
	known := len(a.logOf(t, id))
	const count, titles = 150, 20
	facts := make([]events.Accepted, count)
	for n := range facts {
		if facts[n] = said(t, id); n%3 == 0 {
			facts[n] = portstest.Fact(t, id, portstest.NewID(t), portstest.Published(id, "alice", "TR_"+strconv.Itoa(n)))
		}
	}
	var running errgroup.Group
	for _, r := range []*replica{a, b} {
		running.Go(func() error {
			for _, n := range rand.Perm(count) {
				var decision domain.Decision
				if err := r.Take(t.Context(), facts[n], decideOn(t, facts[n], &decision)); err != nil {
					return err
				}
			}
			return nil
		})
		running.Go(func() error {
			for n := range titles {
				if err := r.retitle(t, id, strconv.Itoa(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, running.Wait())
	log := a.logOf(t, id)
	require.Equal(t, log, b.logOf(t, id))
	for _, fact := range facts {
		require.Contains(t, log, fact.EventID)
	}
	told := slices.Sorted(slices.Values(slices.Concat(a.appended, b.appended)))
	require.Len(t, told, len(log))
	require.EqualValues(t, 1, told[0])
	require.EqualValues(t, len(log), told[len(told)-1])
	require.Equal(t, told, slices.Compact(slices.Clone(told)))
	require.Greater(t, len(log), known+count)
}

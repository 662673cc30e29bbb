package portstest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// TimersUnderTest is an empty store with its timers. Pass lets time pass for whatever waits in it.
type TimersUnderTest struct {
	StoreUnderTest
	Activations ports.Activations
	Retention   ports.Retention
	Pass        func(by time.Duration)
}

const (
	timeout = 10 * time.Minute
	lease   = time.Minute
)

// Timers is the suite of ports.Activations and ports.Retention. open is called once a test.
func Timers(t *testing.T, open func(t *testing.T) TimersUnderTest) {
	for name, test := range map[string]func(*testing.T, TimersUnderTest){
		"a session is due when its time has passed":                testDue,
		"a session that is active or final is not due":             testNotWaiting,
		"the longest wait comes first":                             testLongestFirst,
		"each is claimed once by workers at once":                  testClaimedOnce,
		"a claim that nobody finishes is taken again":              testLeaseRunsOut,
		"a postponed session comes up again":                       testPostpone,
		"a late worker does not postpone what another has claimed": testLatePostpone,
		"the next deadline is told":                                testNextOverdue,
		"old final sessions go with all that is theirs":            testDeleteFinal,
		"old sessions go in batches":                               testDeleteInBatches,
		"workers at once delete each session once":                 testDeleteAtOnce,
		"quarantined events of no session go when they are old":    testDeleteStrays,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func (u TimersUnderTest) claim(t testing.TB, limit int) []ports.OverdueActivation {
	t.Helper()
	claimed, err := u.Activations.ClaimOverdue(t.Context(), timeout, limit, lease)
	require.NoError(t, err)
	return claimed
}

func idsOf(claimed []ports.OverdueActivation) []string {
	ids := make([]string, len(claimed))
	for i, overdue := range claimed {
		ids[i] = overdue.SessionID
	}
	return ids
}

func testDue(t *testing.T, u TimersUnderTest) {
	id := created(t, u.StoreUnderTest).Session.ID()
	require.Empty(t, u.claim(t, 10))
	u.Pass(timeout - 5*time.Second)
	require.Empty(t, u.claim(t, 10), "a little early")
	u.Pass(5 * time.Second)
	require.Equal(t, []ports.OverdueActivation{{SessionID: id, SessionVersion: 1, Provider: "livekit", Claims: 1}}, u.claim(t, 10))
	require.Empty(t, u.claim(t, 10), "it is in somebody's hands")
}

func testNotWaiting(t *testing.T, u TimersUnderTest) {
	active, ended := created(t, u.StoreUnderTest).Session.ID(), created(t, u.StoreUnderTest).Session.ID()
	expired := created(t, u.StoreUnderTest).Session.ID()
	u.Pass(timeout)
	mustTake(t, u.StoreUnderTest, domain.Append, Fact(t, active, NewID(t), Connected(active, "alice")))
	_, err := u.Store.Update(t.Context(), ports.System(), ended, finish(t, Start.Add(time.Hour)))
	require.NoError(t, err)
	view, err := u.Store.Update(t.Context(), ports.System(), expired, func(session *domain.Session) ([]ports.Entry, error) {
		return Seal(t, expired, session.ExpireActivation(Start.Add(time.Hour)), Start.Add(time.Hour)), nil
	})
	require.NoError(t, err)
	require.Equal(t, events.StatusFailed, view.Session.Status())
	stored, err := u.Store.Get(t.Context(), ports.System(), expired)
	require.NoError(t, err)
	equalSessions(t, view.Session, stored.Session)
	require.Empty(t, u.claim(t, 10))
	_, waiting, err := u.Activations.NextOverdue(t.Context(), timeout)
	require.NoError(t, err)
	require.False(t, waiting)
}

func testLongestFirst(t *testing.T, u TimersUnderTest) {
	var want []string
	for range 3 {
		want = append(want, created(t, u.StoreUnderTest).Session.ID())
		u.Pass(time.Minute)
	}
	u.Pass(timeout)
	got := append(idsOf(u.claim(t, 1)), idsOf(u.claim(t, 1))...)
	require.Equal(t, want, append(got, idsOf(u.claim(t, 5))...))
}

func testClaimedOnce(t *testing.T, u TimersUnderTest) {
	const sessions, workers = 40, 4
	var want []string
	for range sessions {
		want = append(want, created(t, u.StoreUnderTest).Session.ID())
	}
	u.Pass(timeout)
	var mu sync.Mutex
	var got []string
	group, ctx := errgroup.WithContext(t.Context())
	for range workers {
		group.Go(func() error {
			for {
				claimed, err := u.Activations.ClaimOverdue(ctx, timeout, 3, lease)
				if err != nil || len(claimed) == 0 {
					return err
				}
				mu.Lock()
				got = append(got, idsOf(claimed)...)
				mu.Unlock()
			}
		})
	}
	require.NoError(t, group.Wait())
	// A worker that finds all that is left in others' hands stops early; what they hold they have claimed.
	got = append(got, idsOf(u.claim(t, sessions))...)
	require.ElementsMatch(t, want, got)
}

func testLeaseRunsOut(t *testing.T, u TimersUnderTest) {
	id := created(t, u.StoreUnderTest).Session.ID()
	u.Pass(timeout)
	require.Len(t, u.claim(t, 10), 1)
	u.Pass(lease - 5*time.Second)
	require.Empty(t, u.claim(t, 10))
	u.Pass(5 * time.Second)
	require.Equal(t, []ports.OverdueActivation{{SessionID: id, SessionVersion: 1, Provider: "livekit", Claims: 2}}, u.claim(t, 10))
}

func testPostpone(t *testing.T, u TimersUnderTest) {
	created(t, u.StoreUnderTest)
	u.Pass(timeout)
	claimed := u.claim(t, 10)
	require.Len(t, claimed, 1)
	require.NoError(t, u.Activations.Postpone(t.Context(), claimed[0], timeout, 30*time.Second))
	u.Pass(25 * time.Second)
	require.Empty(t, u.claim(t, 10))
	u.Pass(5 * time.Second)
	again := u.claim(t, 10)
	require.Len(t, again, 1)
	require.Equal(t, 2, again[0].Claims)
}

func testLatePostpone(t *testing.T, u TimersUnderTest) {
	created(t, u.StoreUnderTest)
	u.Pass(timeout)
	late := u.claim(t, 10)
	u.Pass(lease)
	require.Len(t, u.claim(t, 10), 1)
	require.NoError(t, u.Activations.Postpone(t.Context(), late[0], timeout, time.Hour))
	u.Pass(lease)
	require.Len(t, u.claim(t, 10), 1, "the later claim's lease counts")
}

func testNextOverdue(t *testing.T, u TimersUnderTest) {
	_, waiting, err := u.Activations.NextOverdue(t.Context(), timeout)
	require.NoError(t, err)
	require.False(t, waiting)
	created(t, u.StoreUnderTest)
	u.Pass(4 * time.Minute)
	created(t, u.StoreUnderTest)
	next, waiting, err := u.Activations.NextOverdue(t.Context(), timeout)
	require.NoError(t, err)
	require.True(t, waiting)
	require.InDelta(t, (6 * time.Minute).Seconds(), next.Seconds(), 5)
	u.Pass(time.Hour)
	next, _, err = u.Activations.NextOverdue(t.Context(), timeout)
	require.NoError(t, err)
	require.Zero(t, next)
}

// over makes a session that has ended now, with a log, presence and something in quarantine.
func over(t *testing.T, u TimersUnderTest) string {
	t.Helper()
	id := created(t, u.StoreUnderTest).Session.ID()
	for _, payload := range []events.Payload{Connected(id, "alice"), Joined(id, "alice"), Published(id, "alice", "TR_1")} {
		mustTake(t, u.StoreUnderTest, domain.Append, Fact(t, id, NewID(t), payload))
	}
	mustTake(t, u.StoreUnderTest, domain.Quarantine, Fact(t, id, NewID(t), Left(id, "bob")))
	_, err := u.Store.Update(t.Context(), ports.System(), id, finish(t, Start.Add(time.Minute)))
	require.NoError(t, err)
	return id
}

func (u TimersUnderTest) has(t testing.TB, id string) bool {
	t.Helper()
	_, err := u.Store.Get(t.Context(), ports.System(), id)
	if err != nil {
		require.ErrorIs(t, err, domain.ErrNotFound)
	}
	return err == nil
}

const retention = 24 * time.Hour

func testDeleteFinal(t *testing.T, u TimersUnderTest) {
	old, live := over(t, u), created(t, u.StoreUnderTest).Session.ID()
	mustTake(t, u.StoreUnderTest, domain.Append, Fact(t, live, NewID(t), Connected(live, "alice")))
	mustTake(t, u.StoreUnderTest, domain.Quarantine, Fact(t, live, NewID(t), Left(live, "bob")))
	deleted, err := u.Retention.DeleteFinal(t.Context(), 100*365*24*time.Hour, 10)
	require.NoError(t, err)
	require.Zero(t, deleted, "it is not that old")
	require.Len(t, u.Quarantine(), 2)

	u.Pass(retention + time.Hour)
	outbox := len(u.Outbox())
	deleted, err = u.Retention.DeleteFinal(t.Context(), retention, 10)
	require.NoError(t, err)
	require.Equal(t, 1, deleted)
	require.False(t, u.has(t, old))
	require.True(t, u.has(t, live), "a live session is kept, however old it is")
	_, err = u.Store.Events(t.Context(), ports.System(), old, ports.PageRequest{Limit: 10})
	require.ErrorIs(t, err, domain.ErrNotFound)
	require.Len(t, u.Quarantine(), 1)
	require.Len(t, u.Outbox(), outbox, "what is to be published still is")
	mustTake(t, u.StoreUnderTest, domain.Quarantine, Fact(t, old, NewID(t), Left(old, "alice")))
}

func testDeleteInBatches(t *testing.T, u TimersUnderTest) {
	for range 5 {
		over(t, u)
	}
	u.Pass(retention + time.Hour)
	for _, want := range []int{2, 2, 1, 0} {
		deleted, err := u.Retention.DeleteFinal(t.Context(), retention, 2)
		require.NoError(t, err)
		require.Equal(t, want, deleted)
	}
}

func testDeleteAtOnce(t *testing.T, u TimersUnderTest) {
	const sessions, workers = 12, 3
	for range sessions {
		over(t, u)
	}
	u.Pass(retention + time.Hour)
	counts := make([]int, workers)
	group, ctx := errgroup.WithContext(t.Context())
	for worker := range workers {
		group.Go(func() error {
			for {
				deleted, err := u.Retention.DeleteFinal(ctx, retention, 2)
				counts[worker] += deleted
				if err != nil || deleted == 0 {
					return err
				}
			}
		})
	}
	require.NoError(t, group.Wait())
	total := 0
	for _, n := range counts {
		total += n
	}
	require.Equal(t, sessions, total, fmt.Sprint(counts))
}

func testDeleteStrays(t *testing.T, u TimersUnderTest) {
	nowhere, here := NewID(t), created(t, u.StoreUnderTest).Session.ID()
	for range 3 {
		mustTake(t, u.StoreUnderTest, domain.Quarantine, Fact(t, nowhere, NewID(t), Connected(nowhere, "alice")))
	}
	mustTake(t, u.StoreUnderTest, domain.Quarantine, Fact(t, here, NewID(t), Left(here, "bob")))
	u.Pass(retention + time.Hour)
	for _, want := range []int{2, 1, 0} {
		deleted, err := u.Retention.DeleteStrayQuarantine(t.Context(), retention, 2)
		require.NoError(t, err)
		require.Equal(t, want, deleted)
	}
	require.False(t, slices.ContainsFunc(u.Quarantine(), func(q ports.Quarantined) bool { return q.Reason == domain.QuarantineUnknownSession }))
	require.Len(t, u.Quarantine(), 1, "a session that is here keeps what was set aside of it")
}

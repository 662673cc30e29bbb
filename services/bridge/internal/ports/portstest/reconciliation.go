package portstest

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Reconciliation is the suite of ports.ReconcileLease and ports.MappingSurvey. open returns an
// empty store.
func Reconciliation(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"one replica has the lease":               oneLease,
		"a lease that isn't renewed is lost":      leaseLost,
		"of many replicas one acquires the lease": leaseRace,
		"active calls are read in pages":          active,
		"a room without a participant is active":  activeRoom,
		"calls are read by their ids":             byIDs,
		"orphan rooms are those of ended calls":   orphanRooms,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func acquire(t testing.TB, s Store, holder string, every, lease time.Duration) int64 {
	t.Helper()
	pass, err := s.ReconcileLease.AcquireLease(t.Context(), holder, every, lease)
	require.NoError(t, err)
	return pass
}

func progress(t testing.TB, s Store) ports.ReconcileProgress {
	t.Helper()
	p, err := s.ReconcileLease.Progress(t.Context())
	require.NoError(t, err)
	return p
}

func oneLease(t *testing.T, s Store) {
	require.Zero(t, progress(t, s).Begun)
	first := acquire(t, s, "one", time.Hour, time.Hour)
	require.EqualValues(t, 1, first, "none was completed before")
	require.Zero(t, acquire(t, s, "two", 0, time.Hour))
	require.Zero(t, acquire(t, s, "one", 0, time.Hour), "nor does the holder begin another one")
	require.NoError(t, s.ReconcileLease.RenewLease(t.Context(), "one", first, time.Hour))
	require.ErrorIs(t, s.ReconcileLease.RenewLease(t.Context(), "two", first, time.Hour), ports.ErrLeaseLost)
	require.NoError(t, s.ReconcileLease.ReleaseLease(t.Context(), "two", first, true))
	require.Zero(t, progress(t, s).Completed)
	require.NoError(t, s.ReconcileLease.ReleaseLease(t.Context(), "one", first, false))
	require.Zero(t, progress(t, s).Completed)
	second := acquire(t, s, "two", time.Hour, time.Hour)
	require.EqualValues(t, 2, second)
	require.NoError(t, s.ReconcileLease.ReleaseLease(t.Context(), "two", second, true))
	done := progress(t, s)
	require.EqualValues(t, 2, done.Begun)
	require.EqualValues(t, 2, done.Completed)
	require.Less(t, done.Ago, time.Minute)
	require.Zero(t, acquire(t, s, "one", time.Hour, time.Hour), "it was done a moment ago")
	require.EqualValues(t, 3, acquire(t, s, "one", 0, time.Hour))
}

func leaseLost(t *testing.T, s Store) {
	first := acquire(t, s, "one", 0, 20*time.Millisecond)
	var second int64
	require.Eventually(t, func() bool {
		second = acquire(t, s, "two", 0, time.Hour)
		return second != 0
	}, 10*time.Second, 5*time.Millisecond)
	require.ErrorIs(t, s.ReconcileLease.RenewLease(t.Context(), "one", first, time.Hour), ports.ErrLeaseLost)
	require.NoError(t, s.ReconcileLease.ReleaseLease(t.Context(), "one", first, true))
	require.Zero(t, progress(t, s).Completed)
	require.NoError(t, s.ReconcileLease.RenewLease(t.Context(), "two", second, time.Hour))
}

func leaseRace(t *testing.T, s Store) {
	var acquired atomic.Int64
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			pass, err := s.ReconcileLease.AcquireLease(t.Context(), "replica-"+strconv.Itoa(n), 0, time.Hour)
			if err != nil {
				t.Errorf("acquire: %v", err)
			}
			if pass != 0 {
				acquired.Add(1)
			}
		})
	}
	running.Wait()
	require.EqualValues(t, 1, acquired.Load())
}

func active(t *testing.T, s Store) {
	var want []string
	for range 5 {
		want = append(want, withGrace(t, s, map[string]time.Duration{"alice": time.Hour}))
	}
	slices.Sort(want)
	untouched := newSession()
	change(t, s, untouched, func(m domain.Mapping) domain.Mapping {
		return m.Learn(1, domain.Member{UserID: "alice", Role: events.RoleHost, Version: 1}) // no token was given
	})
	want = append(want, untouched)
	final := func(m domain.Mapping) domain.Mapping {
		m, _ = m.Finalize(9)
		return m
	}
	change(t, s, team(t, s), final) // no participant was ever in it
	ended := withGrace(t, s, nil)
	change(t, s, ended, final) // its room is still to be seen to go
	want = append(want, ended)
	slices.Sort(want)
	over := withGrace(t, s, nil)
	change(t, s, over, final)
	apply(t, s, over, domain.RoomFinished{Observation: observation(over)}, 0)

	var got []string
	after := ""
	for {
		page, err := s.MappingSurvey.ListActive(t.Context(), after, 4)
		require.NoError(t, err)
		for _, m := range page {
			got = append(got, m.SessionID())
			require.Equal(t, load(t, s, m.SessionID()), m.State())
		}
		if len(page) < 4 {
			break
		}
		after = got[len(got)-1]
	}
	require.Equal(t, want, got)
}

func activeRoom(t *testing.T, s Store) {
	started, finished := newSession(), newSession()
	for _, session := range []string{started, finished} {
		apply(t, s, session, domain.RoomStarted{Observation: observation(session)}, 0)
	}
	change(t, s, finished, func(m domain.Mapping) domain.Mapping {
		m, _ = m.Finalize(9)
		return m
	})
	mappings, err := s.MappingSurvey.ListActive(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, mappings, 1, "not one that is final and was never connected")
	require.Equal(t, started, mappings[0].SessionID())
	require.Empty(t, mappings[0].State().Participants)
	mappings, err = s.MappingSurvey.ListActive(t.Context(), started, 10)
	require.NoError(t, err)
	require.Empty(t, mappings)
}

func byIDs(t *testing.T, s Store) {
	one, other, notAsked := withGrace(t, s, map[string]time.Duration{"alice": time.Hour}), team(t, s), team(t, s)
	mappings, err := s.MappingSurvey.ByIDs(t.Context(), []string{one, newSession(), other})
	require.NoError(t, err)
	got := map[string]domain.State{}
	for _, m := range mappings {
		got[m.SessionID()] = m.State()
	}
	require.Equal(t, map[string]domain.State{one: load(t, s, one), other: load(t, s, other)}, got)
	require.NotContains(t, got, notAsked)
	mappings, err = s.MappingSurvey.ByIDs(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, mappings)
}

func orphanRooms(t *testing.T, s Store) {
	live, final, deleted := team(t, s), team(t, s), team(t, s)
	for session, deleteRoom := range map[string]bool{final: false, deleted: true} {
		require.NoError(t, s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
			m, _ = m.Finalize(9)
			return ports.Change{Mapping: m, DeleteRoom: deleteRoom}, nil
		}))
	}
	sessions, err := s.MappingSurvey.OrphanRooms(t.Context(), []string{
		domain.RoomName(live), domain.RoomName(final), domain.RoomName(deleted), "somebody-elses",
	})
	require.NoError(t, err)
	require.Equal(t, []string{final}, sessions)
	sessions, err = s.MappingSurvey.OrphanRooms(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, sessions)
}

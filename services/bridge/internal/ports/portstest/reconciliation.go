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

// Reconciliation is the suite of ports.Turns and ports.Surveys. open returns an empty store.
func Reconciliation(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"one replica has the turn":           oneTurn,
		"a turn that isn't kept is lost":     turnLost,
		"of many replicas one gets the turn": turnsRace,
		"calls that go on are read in pages": unsettled,
		"calls are read by their names":      named,
		"rooms of calls that are over":       zombies,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func take(t testing.TB, s Store, holder string, every, lease time.Duration) int64 {
	t.Helper()
	pass, err := s.Turns.TakeTurn(t.Context(), holder, every, lease)
	require.NoError(t, err)
	return pass
}

func passes(t testing.TB, s Store) ports.Passes {
	t.Helper()
	p, err := s.Turns.Passes(t.Context())
	require.NoError(t, err)
	return p
}

func oneTurn(t *testing.T, s Store) {
	require.Zero(t, passes(t, s).Begun)
	first := take(t, s, "one", time.Hour, time.Hour)
	require.EqualValues(t, 1, first, "none was completed before")
	require.Zero(t, take(t, s, "two", 0, time.Hour))
	require.Zero(t, take(t, s, "one", 0, time.Hour), "nor does the holder begin another one")
	require.NoError(t, s.Turns.KeepTurn(t.Context(), "one", first, time.Hour))
	require.ErrorIs(t, s.Turns.KeepTurn(t.Context(), "two", first, time.Hour), ports.ErrTurnLost)
	require.NoError(t, s.Turns.EndTurn(t.Context(), "two", first, true))
	require.Zero(t, passes(t, s).Completed)
	require.NoError(t, s.Turns.EndTurn(t.Context(), "one", first, false))
	require.Zero(t, passes(t, s).Completed)
	second := take(t, s, "two", time.Hour, time.Hour)
	require.EqualValues(t, 2, second)
	require.NoError(t, s.Turns.EndTurn(t.Context(), "two", second, true))
	done := passes(t, s)
	require.EqualValues(t, 2, done.Begun)
	require.EqualValues(t, 2, done.Completed)
	require.Less(t, done.Ago, time.Minute)
	require.Zero(t, take(t, s, "one", time.Hour, time.Hour), "it was done a moment ago")
	require.EqualValues(t, 3, take(t, s, "one", 0, time.Hour))
}

func turnLost(t *testing.T, s Store) {
	first := take(t, s, "one", 0, 20*time.Millisecond)
	var second int64
	require.Eventually(t, func() bool {
		second = take(t, s, "two", 0, time.Hour)
		return second != 0
	}, 10*time.Second, 5*time.Millisecond)
	require.ErrorIs(t, s.Turns.KeepTurn(t.Context(), "one", first, time.Hour), ports.ErrTurnLost)
	require.NoError(t, s.Turns.EndTurn(t.Context(), "one", first, true))
	require.Zero(t, passes(t, s).Completed)
	require.NoError(t, s.Turns.KeepTurn(t.Context(), "two", second, time.Hour))
}

func turnsRace(t *testing.T, s Store) {
	var taken atomic.Int64
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			pass, err := s.Turns.TakeTurn(t.Context(), "replica-"+strconv.Itoa(n), 0, time.Hour)
			if err != nil {
				t.Errorf("take: %v", err)
			}
			if pass != 0 {
				taken.Add(1)
			}
		})
	}
	running.Wait()
	require.EqualValues(t, 1, taken.Load())
}

func unsettled(t *testing.T, s Store) {
	var want []string
	for range 5 {
		want = append(want, lose(t, s, map[string]time.Duration{"alice": time.Hour}))
	}
	slices.Sort(want)
	change(t, s, newSession(), func(m domain.Mapping) domain.Mapping {
		return m.Learn(1, domain.Member{UserID: "alice", Role: events.RoleHost, Version: 1}) // nobody has a token
	})
	final := func(m domain.Mapping) domain.Mapping {
		m, _ = m.Finalize(9)
		return m
	}
	change(t, s, team(t, s), final) // nobody was ever in it
	ended := lose(t, s, nil)
	change(t, s, ended, final) // its room is still to be seen to go
	want = append(want, ended)
	slices.Sort(want)
	over := lose(t, s, nil)
	change(t, s, over, final)
	apply(t, s, over, domain.RoomFinished{Sighting: sighting(over)}, 0)

	var got []string
	after := ""
	for {
		page, err := s.Surveys.Unsettled(t.Context(), after, 4)
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

func named(t *testing.T, s Store) {
	one, other, notAsked := lose(t, s, map[string]time.Duration{"alice": time.Hour}), team(t, s), team(t, s)
	mappings, err := s.Surveys.Named(t.Context(), []string{one, newSession(), other})
	require.NoError(t, err)
	got := map[string]domain.State{}
	for _, m := range mappings {
		got[m.SessionID()] = m.State()
	}
	require.Equal(t, map[string]domain.State{one: load(t, s, one), other: load(t, s, other)}, got)
	require.NotContains(t, got, notAsked)
	mappings, err = s.Surveys.Named(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, mappings)
}

func zombies(t *testing.T, s Store) {
	live, final, deleted := team(t, s), team(t, s), team(t, s)
	for session, deleteRoom := range map[string]bool{final: false, deleted: true} {
		require.NoError(t, s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
			m, _ = m.Finalize(9)
			return ports.Change{Mapping: m, DeleteRoom: deleteRoom}, nil
		}))
	}
	sessions, err := s.Surveys.Zombies(t.Context(), []string{
		domain.RoomName(live), domain.RoomName(final), domain.RoomName(deleted), "somebody-elses",
	})
	require.NoError(t, err)
	require.Equal(t, []string{final}, sessions)
	sessions, err = s.Surveys.Zombies(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, sessions)
}

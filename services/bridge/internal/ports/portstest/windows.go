package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Windows is the suite of ports.Windows. open returns a store whose list is empty.
func Windows(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"a window is on the list from its end on":          windowDue,
		"a window is claimed by one only, and for a while": windowLeased,
		"a postponed window waits":                         windowPostponed,
		"who lost the claim changes nothing":               windowFenced,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// lose has alice and bob join a new session, and those be lost who are named, each with a window of a length.
func lose(t testing.TB, s Store, windows map[string]time.Duration) string {
	t.Helper()
	session := team(t, s)
	for _, user := range []string{"alice", "bob"} {
		apply(t, s, session, joined(session, user), 0)
		if length, lost := windows[user]; lost {
			apply(t, s, session, timedOut(session, user), length)
		}
	}
	return session
}

func timedOut(session, user string) domain.Fact {
	return domain.ParticipantLeft{
		Sighting: sighting(session), Reason: events.LeaveConnectionTimeout,
		Connection: domain.Connection{Identity: user + "#default", SID: "PA_" + user, JoinedAt: moment},
	}
}

func apply(t testing.TB, s Store, session string, f domain.Fact, length time.Duration) {
	t.Helper()
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		m, _ = m.Apply(f, domain.Moment{Now: time.Now(), Window: length})
		return m
	})
}

func claimWindows(t testing.TB, s Store, lease time.Duration) []ports.DueWindow {
	t.Helper()
	claimed, err := s.Windows.ClaimWindows(t.Context(), 100, lease)
	require.NoError(t, err)
	return claimed
}

func windowDue(t *testing.T, s Store) {
	_, waiting, err := s.Windows.NextWindow(t.Context())
	require.NoError(t, err)
	require.False(t, waiting)
	lose(t, s, nil)
	later := lose(t, s, map[string]time.Duration{"bob": time.Hour, "alice": 2 * time.Hour})
	require.Empty(t, claimWindows(t, s, time.Hour))
	wait, waiting, err := s.Windows.NextWindow(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.InDelta(t, time.Hour.Seconds(), wait.Seconds(), 60, "the first one of the session's")
	due := lose(t, s, map[string]time.Duration{"alice": -time.Minute, "bob": time.Hour})
	claimed := claimWindows(t, s, time.Hour)
	require.Len(t, claimed, 1)
	require.Equal(t, due, claimed[0].SessionID)
	require.Zero(t, claimed[0].Attempts)

	state := load(t, s, due)
	require.Equal(t, domain.Reconnecting, state.Participants["alice#default"].Presence)
	require.True(t, state.Participants["alice#default"].Window.Told)
	require.True(t, state.Interrupted)

	back := domain.ParticipantJoined{Sighting: sighting(later), Connection: domain.Connection{Identity: "bob#default", SID: "PA_back", JoinedAt: moment.Add(time.Minute)}}
	apply(t, s, later, back, time.Hour)
	wait, waiting, err = s.Windows.NextWindow(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.Less(t, wait, 90*time.Minute, "the claim of the other session")
	back.Connection = domain.Connection{Identity: "alice#default", SID: "PA_back2", JoinedAt: moment.Add(time.Minute)}
	apply(t, s, later, back, time.Hour)
	require.Empty(t, load(t, s, later).Participants["alice#default"].Window)
}

func windowLeased(t *testing.T, s Store) {
	session := lose(t, s, map[string]time.Duration{"alice": -time.Minute})
	first := claimWindows(t, s, 20*time.Millisecond)
	require.Len(t, first, 1)
	var second []ports.DueWindow
	require.Eventually(t, func() bool {
		second = claimWindows(t, s, time.Hour)
		return len(second) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, session, second[0].SessionID)
	require.NotEqual(t, first[0].Claim, second[0].Claim)
	require.Empty(t, claimWindows(t, s, time.Hour))
	require.NoError(t, s.Windows.PostponeWindow(t.Context(), first[0], 0), "the claim is another one's")
	require.Empty(t, claimWindows(t, s, time.Hour))
}

func windowPostponed(t *testing.T, s Store) {
	lose(t, s, map[string]time.Duration{"alice": -time.Minute})
	first := claimWindows(t, s, time.Hour)
	require.Len(t, first, 1)
	require.NoError(t, s.Windows.PostponeWindow(t.Context(), first[0], 20*time.Millisecond))
	require.Eventually(t, func() bool {
		again := claimWindows(t, s, time.Hour)
		return len(again) == 1 && again[0].Attempts == 1
	}, 10*time.Second, 5*time.Millisecond)
}

func windowFenced(t *testing.T, s Store) {
	session := lose(t, s, map[string]time.Duration{"alice": -time.Minute})
	end := func(claim int64) error {
		return s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
			m, _, _ = m.Inspect(domain.Inspection{Revision: m.Revision(), Expire: true}, domain.Moment{Now: time.Now()})
			return ports.Change{Mapping: m, Claim: claim}, nil
		})
	}
	first := claimWindows(t, s, time.Hour)
	require.Len(t, first, 1)
	apply(t, s, session, timedOut(session, "bob"), -2*time.Minute)
	require.ErrorIs(t, end(first[0].Claim), ports.ErrClaimLost, "the windows have changed")
	second := claimWindows(t, s, 20*time.Millisecond)
	require.Len(t, second, 1)
	var third []ports.DueWindow
	require.Eventually(t, func() bool {
		third = claimWindows(t, s, time.Hour)
		return len(third) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.ErrorIs(t, end(second[0].Claim), ports.ErrClaimLost, "the lease was over")
	require.Len(t, load(t, s, session).Participants, 2)
	require.True(t, load(t, s, session).Participants["alice#default"].Shown())
	require.NoError(t, end(third[0].Claim))
	require.False(t, load(t, s, session).Participants["alice#default"].Shown())
	_, waiting, err := s.Windows.NextWindow(t.Context())
	require.NoError(t, err)
	require.False(t, waiting)
}

package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// RoomChecks is the suite of ports.RoomChecks. open returns a store whose list is empty.
func RoomChecks(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"a check is due from its time on":              checkDue,
		"evidence calls for a check, and clears it":    checkCalledFor,
		"a check is claimed by one only, for a while":  checkLeased,
		"a postponed check waits":                      checkPostponed,
		"a worker that lost the claim changes nothing": checkFenced,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// withGrace has alice and bob join a new session, and opens a grace period of the given length for
// each one who is named.
func withGrace(t testing.TB, s Store, lengths map[string]time.Duration) string {
	t.Helper()
	session := team(t, s)
	for _, user := range []string{"alice", "bob"} {
		apply(t, s, session, joined(session, user), 0)
		if length, lost := lengths[user]; lost {
			apply(t, s, session, timedOut(session, user), length)
		}
	}
	return session
}

func timedOut(session, user string) domain.Fact {
	return domain.ParticipantLeft{
		Observation: observation(session), Reason: events.LeaveConnectionTimeout,
		Connection: domain.Connection{Identity: user + "#default", SID: "PA_" + user, JoinedAt: moment},
	}
}

func apply(t testing.TB, s Store, session string, f domain.Fact, grace time.Duration) {
	t.Helper()
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		m, _ = m.Apply(f, domain.Moment{Now: time.Now(), Policy: domain.Policy{Grace: grace}})
		return m
	})
}

func claimChecks(t testing.TB, s Store, lease time.Duration) []ports.RoomCheck {
	t.Helper()
	claimed, err := s.RoomChecks.ClaimChecks(t.Context(), 100, lease)
	require.NoError(t, err)
	return claimed
}

// nextCheck returns how long it is until a session can be claimed.
func nextCheck(t testing.TB, s Store) time.Duration {
	t.Helper()
	wait, listed, err := s.RoomChecks.NextCheck(t.Context())
	require.NoError(t, err)
	require.True(t, listed)
	return wait
}

func noChecks(t testing.TB, s Store) {
	t.Helper()
	_, listed, err := s.RoomChecks.NextCheck(t.Context())
	require.NoError(t, err)
	require.False(t, listed)
}

func checkDue(t *testing.T, s Store) {
	noChecks(t, s)
	withGrace(t, s, nil)
	later := withGrace(t, s, map[string]time.Duration{"bob": time.Hour, "alice": 2 * time.Hour})
	require.Empty(t, claimChecks(t, s, time.Hour))
	require.InDelta(t, time.Hour.Seconds(), nextCheck(t, s).Seconds(), 60, "the session's first grace period")
	due := withGrace(t, s, map[string]time.Duration{"alice": -time.Minute, "bob": time.Hour})
	claimed := claimChecks(t, s, time.Hour)
	require.Len(t, claimed, 1)
	require.Equal(t, due, claimed[0].SessionID)
	require.Zero(t, claimed[0].Attempts)

	state := load(t, s, due)
	require.Equal(t, domain.Reconnecting, state.Participants["alice#default"].Presence)
	require.Equal(t, domain.Told, state.Participants["alice#default"].Grace.Evidence)
	require.True(t, state.Interrupted)

	back := domain.ParticipantJoined{
		Observation: observation(later),
		Connection:  domain.Connection{Identity: "bob#default", SID: "PA_back", JoinedAt: moment.Add(time.Minute)},
	}
	apply(t, s, later, back, time.Hour)
	require.Less(t, nextCheck(t, s), 90*time.Minute, "the claim of the other session")
	back.Connection = domain.Connection{Identity: "alice#default", SID: "PA_back2", JoinedAt: moment.Add(time.Minute)}
	apply(t, s, later, back, time.Hour)
	require.Empty(t, load(t, s, later).Participants["alice#default"].Grace)
}

func checkCalledFor(t *testing.T, s Store) {
	session := withGrace(t, s, map[string]time.Duration{"alice": time.Hour})
	require.Empty(t, claimChecks(t, s, time.Hour))
	lookAt := func(at time.Time) {
		alter(t, s, session, func(state *domain.State) { state.LookAt = at })
	}
	lookAt(moment.Add(-time.Minute))
	claimed := claimChecks(t, s, time.Hour)
	require.Len(t, claimed, 1, "it comes before the end of the grace period")
	require.Equal(t, session, claimed[0].SessionID)
	lookAt(time.Time{})
	require.Empty(t, claimChecks(t, s, time.Hour))
	require.InDelta(t, time.Hour.Seconds(), nextCheck(t, s).Seconds(), 60, "the grace period goes on")

	session = team(t, s)
	lookAt(moment.Add(-time.Minute))
	claimed = claimChecks(t, s, time.Hour)
	require.Len(t, claimed, 1)
	require.Equal(t, session, claimed[0].SessionID)
	lookAt(moment.Add(-time.Second))
	require.Len(t, claimChecks(t, s, time.Hour), 1, "evidence calls for another check, although the one before is claimed")
	lookAt(time.Time{})
	require.Less(t, nextCheck(t, s), 61*time.Minute)
	require.Greater(t, nextCheck(t, s), 50*time.Minute, "only the first session's check is left")
}

func checkLeased(t *testing.T, s Store) {
	session := withGrace(t, s, map[string]time.Duration{"alice": -time.Minute})
	first := claimChecks(t, s, 20*time.Millisecond)
	require.Len(t, first, 1)
	var second []ports.RoomCheck
	require.Eventually(t, func() bool {
		second = claimChecks(t, s, time.Hour)
		return len(second) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, session, second[0].SessionID)
	require.NotEqual(t, first[0].Claim, second[0].Claim)
	require.Empty(t, claimChecks(t, s, time.Hour))
	require.NoError(t, s.RoomChecks.PostponeCheck(t.Context(), first[0], 0), "the claim is another one's")
	require.Empty(t, claimChecks(t, s, time.Hour))
}

func checkPostponed(t *testing.T, s Store) {
	withGrace(t, s, map[string]time.Duration{"alice": -time.Minute})
	first := claimChecks(t, s, time.Hour)
	require.Len(t, first, 1)
	require.NoError(t, s.RoomChecks.PostponeCheck(t.Context(), first[0], 20*time.Millisecond))
	require.Eventually(t, func() bool {
		again := claimChecks(t, s, time.Hour)
		return len(again) == 1 && again[0].Attempts == 1
	}, 10*time.Second, 5*time.Millisecond)
}

func checkFenced(t *testing.T, s Store) {
	session := withGrace(t, s, map[string]time.Duration{"alice": -time.Minute})
	end := func(claim int64) error {
		return s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
			state := m.State()
			for identity, p := range state.Participants {
				p.Presence, p.Grace = domain.Absent, domain.GracePeriod{}
				state.Participants[identity] = p
			}
			state.Revision++
			return ports.Change{Mapping: domain.Restore(state), Claim: claim}, nil
		})
	}
	first := claimChecks(t, s, time.Hour)
	require.Len(t, first, 1)
	apply(t, s, session, timedOut(session, "bob"), -2*time.Minute)
	require.ErrorIs(t, end(first[0].Claim), ports.ErrClaimLost, "the time of the check has changed")
	second := claimChecks(t, s, 20*time.Millisecond)
	require.Len(t, second, 1)
	var third []ports.RoomCheck
	require.Eventually(t, func() bool {
		third = claimChecks(t, s, time.Hour)
		return len(third) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.ErrorIs(t, end(second[0].Claim), ports.ErrClaimLost, "the lease was over")
	require.True(t, load(t, s, session).Participants["alice#default"].Shown())
	require.NoError(t, end(third[0].Claim))
	require.False(t, load(t, s, session).Participants["alice#default"].Shown())
	noChecks(t, s)
}

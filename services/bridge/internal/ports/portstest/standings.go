package portstest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Enforcements is the suite of ports.Enforcements. open returns a store whose list is empty.
func Enforcements(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"a standing is claimed by one only":               standingClaimedOnce,
		"the newest standing of a participant counts":     standingReplaced,
		"a newer standing waits for who works on one":     standingWaits,
		"a postponed standing waits, a newer one doesn't": standingPostponed,
		"a claim that is not settled comes up again":      standingLeased,
		"nobody is admitted while they are being removed": standingHoldsBack,
		"removals and new invitations never overlap":      standingsRace,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// team makes a session with tokens given to alice and bob.
func team(t testing.TB, s Store) string {
	t.Helper()
	session := newSession()
	change(t, s, session, func(m domain.Mapping) domain.Mapping { return admit(t, admit(t, m, "alice", ""), "bob", "") })
	return session
}

// hold tells of a member, as the use case does; role "" is a removal.
func hold(t testing.TB, s Store, session, user string, role events.Role, version int64) {
	t.Helper()
	require.NoError(t, s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		after := m.Learn(version, domain.Member{UserID: user, Role: role, Removed: role == "", Version: version})
		return ports.Change{Mapping: after, Standings: after.StandingsSince(m)}, nil
	}))
}

func claimStandings(t testing.TB, s Store, lease time.Duration) []ports.Enforcement {
	t.Helper()
	claimed, err := s.Enforcements.ClaimEnforcements(t.Context(), 100, lease)
	require.NoError(t, err)
	return claimed
}

func noneLeft(t testing.TB, s Store) {
	t.Helper()
	_, waiting, err := s.Enforcements.NextEnforcement(t.Context())
	require.NoError(t, err)
	require.False(t, waiting)
}

func standingClaimedOnce(t *testing.T, s Store) {
	const sessions = 12
	for range sessions {
		session := team(t, s)
		hold(t, s, session, "alice", events.RoleViewer, 2)
		hold(t, s, session, "bob", "", 3)
	}
	var mu sync.Mutex
	claims := map[string]int{}
	var running sync.WaitGroup
	for range 6 {
		running.Go(func() {
			for {
				claimed, err := s.Enforcements.ClaimEnforcements(t.Context(), 3, time.Minute)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				if len(claimed) == 0 {
					return
				}
				for _, e := range claimed {
					mu.Lock()
					claims[e.SessionID+e.Standing.Identity]++
					mu.Unlock()
					if err := s.Enforcements.SettleEnforcement(t.Context(), e); err != nil {
						t.Errorf("settle: %v", err)
					}
				}
			}
		})
	}
	running.Wait()
	require.Len(t, claims, 2*sessions)
	for who, n := range claims {
		require.Equal(t, 1, n, who)
	}
	noneLeft(t, s)
}

func standingReplaced(t *testing.T, s Store) {
	session := team(t, s)
	hold(t, s, session, "bob", "", 2)
	hold(t, s, session, "bob", events.RoleViewer, 3)
	hold(t, s, session, "bob", "", 2)
	claimed := claimStandings(t, s, time.Minute)
	require.Len(t, claimed, 1)
	require.Equal(t, session, claimed[0].SessionID)
	require.Equal(t, domain.Standing{Identity: "bob#default", UserID: "bob", Role: events.RoleViewer}, claimed[0].Standing)
	require.Zero(t, claimed[0].Attempts)
}

func standingWaits(t *testing.T, s Store) {
	session := team(t, s)
	hold(t, s, session, "bob", events.RoleHost, 2)
	first := claimStandings(t, s, time.Hour)
	require.Len(t, first, 1)
	hold(t, s, session, "bob", events.RoleViewer, 3)
	require.Empty(t, claimStandings(t, s, time.Hour), "the provider would hear of the two in any order")
	wait, waiting, err := s.Enforcements.NextEnforcement(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.Greater(t, wait, 50*time.Minute)
	require.NoError(t, s.Enforcements.SettleEnforcement(t.Context(), first[0]))
	second := claimStandings(t, s, time.Hour)
	require.Len(t, second, 1)
	require.Equal(t, events.RoleViewer, second[0].Standing.Role)
	require.NoError(t, s.Enforcements.SettleEnforcement(t.Context(), first[0]), "settled twice by mistake")
	require.Empty(t, claimStandings(t, s, time.Hour), "the second is still being worked on")
	require.NoError(t, s.Enforcements.SettleEnforcement(t.Context(), second[0]))
	noneLeft(t, s)
}

func standingPostponed(t *testing.T, s Store) {
	session := team(t, s)
	hold(t, s, session, "bob", events.RoleHost, 2)
	first := claimStandings(t, s, time.Hour)
	require.Len(t, first, 1)
	require.NoError(t, s.Enforcements.PostponeEnforcement(t.Context(), first[0], 20*time.Millisecond))
	var second []ports.Enforcement
	require.Eventually(t, func() bool {
		second = claimStandings(t, s, time.Hour)
		return len(second) == 1 && second[0].Attempts == 1
	}, 10*time.Second, 5*time.Millisecond)
	hold(t, s, session, "bob", "", 3)
	require.NoError(t, s.Enforcements.PostponeEnforcement(t.Context(), second[0], time.Hour))
	third := claimStandings(t, s, time.Hour)
	require.Len(t, third, 1, "it never failed")
	require.True(t, third[0].Standing.Removed)
	require.Zero(t, third[0].Attempts)
	require.NoError(t, s.Enforcements.PostponeEnforcement(t.Context(), third[0], time.Hour))
	require.Empty(t, claimStandings(t, s, time.Hour))
}

func standingLeased(t *testing.T, s Store) {
	session := team(t, s)
	hold(t, s, session, "bob", "", 2)
	first := claimStandings(t, s, 20*time.Millisecond)
	require.Len(t, first, 1)
	var second []ports.Enforcement
	require.Eventually(t, func() bool {
		second = claimStandings(t, s, time.Hour)
		return len(second) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, s.Enforcements.SettleEnforcement(t.Context(), first[0]))
	require.NoError(t, s.Enforcements.PostponeEnforcement(t.Context(), first[0], time.Hour))
	require.ErrorIs(t, admitted(t, s, session, "bob", 3), ports.ErrBeingRemoved, "who was too slow has no say any more")
	require.NoError(t, s.Enforcements.SettleEnforcement(t.Context(), second[0]))
	noneLeft(t, s)
}

// admitted asks for a token as of a session version, as the use case does.
func admitted(t testing.TB, s Store, session, user string, version int64) error {
	t.Helper()
	return s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		after, seat, err := m.Admit(domain.Admission{UserID: user, Role: events.RoleViewer, SessionVersion: version})
		return ports.Change{Mapping: after, Standings: after.StandingsSince(m), Admits: seat.Identity}, err
	})
}

func standingHoldsBack(t *testing.T, s Store) {
	session := team(t, s)
	hold(t, s, session, "bob", "", 2)
	removal := claimStandings(t, s, time.Hour)
	require.Len(t, removal, 1)
	before := load(t, s, session)
	require.ErrorIs(t, admitted(t, s, session, "bob", 3), ports.ErrBeingRemoved)
	require.Equal(t, before, load(t, s, session), "nothing is stored")
	require.NoError(t, admitted(t, s, session, "alice", 3), "others don't wait")
	hold(t, s, session, "bob", events.RoleViewer, 3)
	require.ErrorIs(t, admitted(t, s, session, "bob", 3), ports.ErrBeingRemoved)
	require.NoError(t, s.Enforcements.SettleEnforcement(t.Context(), removal[0]))
	require.NoError(t, admitted(t, s, session, "bob", 3))
	for _, e := range claimStandings(t, s, time.Hour) {
		require.False(t, e.Standing.Removed, "the removal is over and done")
		require.NoError(t, admitted(t, s, session, "bob", 3), "a change of rights keeps nobody out")
	}

	hold(t, s, session, "alice", "", 4)
	require.NoError(t, admitted(t, s, session, "alice", 5), "the removal was not begun, and never will be")
	for _, e := range claimStandings(t, s, time.Hour) {
		require.False(t, e.Standing.Removed)
	}
}

// standingsRace invites again while somebody works on the removals: whoever was let in is not being removed.
func standingsRace(t *testing.T, s Store) {
	const sessions, workers = 16, 3
	var letIn sync.Map // by session
	var working, inviting sync.WaitGroup
	stop := make(chan struct{})
	for range workers {
		working.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				claimed, err := s.Enforcements.ClaimEnforcements(t.Context(), 2, time.Minute)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				for _, e := range claimed {
					if _, in := letIn.Load(e.SessionID); in && e.Standing.Removed {
						t.Errorf("session %s: a removal is under way after bob was let in again", e.SessionID)
					}
					if err := s.Enforcements.SettleEnforcement(t.Context(), e); err != nil {
						t.Errorf("settle: %v", err)
					}
				}
			}
		})
	}
	for range sessions {
		session := team(t, s)
		inviting.Go(func() {
			hold(t, s, session, "bob", "", 2)
			for {
				err := admitted(t, s, session, "bob", 3)
				if err == nil {
					letIn.Store(session, true)
					return
				}
				if !errors.Is(err, ports.ErrBeingRemoved) {
					t.Errorf("admit: %v", err)
					return
				}
			}
		})
	}
	inviting.Wait()
	close(stop)
	working.Wait()
}

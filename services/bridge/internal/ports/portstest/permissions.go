package portstest

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// PermissionSyncs is the suite of ports.PermissionSyncs. open returns a store whose list is empty.
func PermissionSyncs(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"a sync is claimed by one only":                    syncClaimedOnce,
		"the newest sync of a participant counts":          syncReplaced,
		"a newer sync waits for the claim of an older":     syncWaits,
		"a postponed sync waits, a newer one doesn't":      syncPostponed,
		"a claim that is not settled comes up again":       syncLeased,
		"a noticed sync keeps its attempts and time":       noticedSync,
		"an identity that isn't mapped is removed":         unmappedSync,
		"no token is granted while a removal is under way": removalHoldsBack,
		"removals and new grants never overlap":            grantRace,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// team makes a session with grants of alice and bob.
func team(t testing.TB, s Store) string {
	t.Helper()
	session := newSession()
	change(t, s, session, func(m domain.Mapping) domain.Mapping { return admit(t, admit(t, m, "alice", ""), "bob", "") })
	return session
}

// setRole learns of a member's role, as the use case does; role "" is a removal.
func setRole(t testing.TB, s Store, session, user string, role events.Role, version int64) {
	t.Helper()
	require.NoError(t, s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		after := m.Learn(version, domain.Member{UserID: user, Role: role, Removed: role == "", Version: version})
		return ports.Change{Mapping: after, Permissions: after.PermissionChanges(m)}, nil
	}))
}

func claimSyncs(t testing.TB, s Store, lease time.Duration) []ports.PermissionSync {
	t.Helper()
	claimed, err := s.PermissionSyncs.ClaimPermissionSyncs(t.Context(), 100, lease)
	require.NoError(t, err)
	return claimed
}

func noSyncs(t testing.TB, s Store) {
	t.Helper()
	_, waiting, err := s.PermissionSyncs.NextPermissionSync(t.Context())
	require.NoError(t, err)
	require.False(t, waiting)
}

func syncClaimedOnce(t *testing.T, s Store) {
	const sessions = 12
	for range sessions {
		session := team(t, s)
		setRole(t, s, session, "alice", events.RoleViewer, 2)
		setRole(t, s, session, "bob", "", 3)
	}
	var mu sync.Mutex
	claims := map[string]int{}
	var running sync.WaitGroup
	for range 6 {
		running.Go(func() {
			for {
				claimed, err := s.PermissionSyncs.ClaimPermissionSyncs(t.Context(), 3, time.Minute)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				if len(claimed) == 0 {
					return
				}
				for _, e := range claimed {
					mu.Lock()
					claims[e.SessionID+e.Desired.Identity]++
					mu.Unlock()
					if err := s.PermissionSyncs.SettlePermissionSync(t.Context(), e); err != nil {
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
	noSyncs(t, s)
}

func syncReplaced(t *testing.T, s Store) {
	session := team(t, s)
	setRole(t, s, session, "bob", "", 2)
	setRole(t, s, session, "bob", events.RoleViewer, 3)
	setRole(t, s, session, "bob", "", 2)
	claimed := claimSyncs(t, s, time.Minute)
	require.Len(t, claimed, 1)
	require.Equal(t, session, claimed[0].SessionID)
	require.Equal(t, domain.DesiredPermission{Identity: "bob#default", UserID: "bob", Role: events.RoleViewer}, claimed[0].Desired)
	require.Zero(t, claimed[0].Attempts)
}

func syncWaits(t *testing.T, s Store) {
	session := team(t, s)
	setRole(t, s, session, "bob", events.RoleHost, 2)
	first := claimSyncs(t, s, time.Hour)
	require.Len(t, first, 1)
	setRole(t, s, session, "bob", events.RoleViewer, 3)
	require.Empty(t, claimSyncs(t, s, time.Hour), "the provider could get the two in any order")
	wait, waiting, err := s.PermissionSyncs.NextPermissionSync(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.Greater(t, wait, 50*time.Minute)
	require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), first[0]))
	second := claimSyncs(t, s, time.Hour)
	require.Len(t, second, 1)
	require.Equal(t, events.RoleViewer, second[0].Desired.Role)
	require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), first[0]), "settled twice by mistake")
	require.Empty(t, claimSyncs(t, s, time.Hour), "the second is still being worked on")
	require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), second[0]))
	noSyncs(t, s)
}

func syncPostponed(t *testing.T, s Store) {
	session := team(t, s)
	setRole(t, s, session, "bob", events.RoleHost, 2)
	first := claimSyncs(t, s, time.Hour)
	require.Len(t, first, 1)
	require.NoError(t, s.PermissionSyncs.PostponePermissionSync(t.Context(), first[0], 20*time.Millisecond))
	var second []ports.PermissionSync
	require.Eventually(t, func() bool {
		second = claimSyncs(t, s, time.Hour)
		return len(second) == 1 && second[0].Attempts == 1
	}, 10*time.Second, 5*time.Millisecond)
	setRole(t, s, session, "bob", "", 3)
	require.NoError(t, s.PermissionSyncs.PostponePermissionSync(t.Context(), second[0], time.Hour))
	third := claimSyncs(t, s, time.Hour)
	require.Len(t, third, 1, "it never failed")
	require.True(t, third[0].Desired.Removed)
	require.Zero(t, third[0].Attempts)
	require.NoError(t, s.PermissionSyncs.PostponePermissionSync(t.Context(), third[0], time.Hour))
	require.Empty(t, claimSyncs(t, s, time.Hour))
}

func syncLeased(t *testing.T, s Store) {
	session := team(t, s)
	setRole(t, s, session, "bob", "", 2)
	first := claimSyncs(t, s, 20*time.Millisecond)
	require.Len(t, first, 1)
	var second []ports.PermissionSync
	require.Eventually(t, func() bool {
		second = claimSyncs(t, s, time.Hour)
		return len(second) == 1
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), first[0]))
	require.NoError(t, s.PermissionSyncs.PostponePermissionSync(t.Context(), first[0], time.Hour))
	require.ErrorIs(t, grant(t, s, session, "bob", 3), ports.ErrBeingRemoved, "a worker that was too slow changes nothing")
	require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), second[0]))
	noSyncs(t, s)
}

// syncPermissions requests permission syncs, or only notices that the permissions don't hold.
func syncPermissions(t testing.TB, s Store, session string, noticed bool, desired ...domain.DesiredPermission) {
	t.Helper()
	require.NoError(t, s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: m, Permissions: desired, Noticed: noticed}, nil
	}))
}

func noticedSync(t *testing.T, s Store) {
	session := team(t, s)
	removal := domain.DesiredPermission{Identity: "bob#default", UserID: "bob", Removed: true}
	syncPermissions(t, s, session, true, removal)
	first := claimSyncs(t, s, time.Hour)
	require.Len(t, first, 1, "a permission that is not on the list is put on it")
	require.Equal(t, removal, first[0].Desired)

	syncPermissions(t, s, session, true, removal)
	require.NoError(t, s.PermissionSyncs.PostponePermissionSync(t.Context(), first[0], time.Hour))
	syncPermissions(t, s, session, true, removal)
	require.Empty(t, claimSyncs(t, s, time.Hour), "it keeps its time")

	setRole(t, s, session, "bob", "", 2)
	second := claimSyncs(t, s, 20*time.Millisecond)
	require.Len(t, second, 1, "a decision is due at once")
	require.Zero(t, second[0].Attempts)
	require.NoError(t, s.PermissionSyncs.PostponePermissionSync(t.Context(), second[0], 0))
	syncPermissions(t, s, session, true, removal, domain.DesiredPermission{Identity: "alice#default", UserID: "alice", Role: events.RoleHost})
	attempts := map[string]int{}
	for _, p := range claimSyncs(t, s, time.Hour) {
		attempts[p.Desired.Identity] = p.Attempts
		syncPermissions(t, s, session, true, p.Desired)
		require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), p))
	}
	require.Equal(t, map[string]int{"bob#default": 1, "alice#default": 0}, attempts, "it keeps its attempts")
	noSyncs(t, s)
}

// unmappedSync removes a second connection on bob's token, by the longest identity that a store has
// to take, of a member who is removed as well.
func unmappedSync(t *testing.T, s Store) {
	session := team(t, s)
	second := domain.DesiredPermission{Identity: "bob#default#", Removed: true}
	second.Identity += strings.Repeat("x", 1024-len(second.Identity))
	setRole(t, s, session, "bob", "", 2)
	syncPermissions(t, s, session, false, second)
	claimed := claimSyncs(t, s, time.Hour)
	require.Len(t, claimed, 2, "each identity has a sync of its own")
	for _, p := range claimed {
		if p.Desired.UserID == "" {
			require.Equal(t, second, p.Desired)
			require.NoError(t, s.PermissionSyncs.PostponePermissionSync(t.Context(), p, 0))
		} else {
			require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), p))
		}
	}
	again := claimSyncs(t, s, time.Hour)
	require.Len(t, again, 1)
	require.Equal(t, 1, again[0].Attempts)
	require.NoError(t, grant(t, s, session, "bob", 3), "another identity's removal holds no grant back")
	mapped := second
	mapped.UserID, mapped.Role, mapped.Removed = "bob", events.RoleViewer, false
	syncPermissions(t, s, session, false, mapped)
	require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), again[0]))
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		m, _ = m.Finalize(9)
		return m
	})
	forget := func(want int) {
		t.Helper()
		n, err := s.Old.ForgetMappings(t.Context(), time.Now().Add(time.Hour), 10)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	forget(0)
	for _, p := range claimSyncs(t, s, time.Hour) {
		if p.Desired.Identity == second.Identity {
			require.Equal(t, mapped, p.Desired, "the newest one counts, of a user now")
		}
		require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), p))
	}
	noSyncs(t, s)
	forget(1)
}

// grant asks for a grant as of a session version, as the use case does.
func grant(t testing.TB, s Store, session, user string, version int64) error {
	t.Helper()
	return s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		after, granted, err := m.Admit(domain.GrantRequest{UserID: user, Role: events.RoleViewer, SessionVersion: version})
		return ports.Change{Mapping: after, Permissions: after.PermissionChanges(m), Admits: granted.Identity}, err
	})
}

func removalHoldsBack(t *testing.T, s Store) {
	session := team(t, s)
	setRole(t, s, session, "bob", "", 2)
	removal := claimSyncs(t, s, time.Hour)
	require.Len(t, removal, 1)
	before := load(t, s, session)
	require.ErrorIs(t, grant(t, s, session, "bob", 3), ports.ErrBeingRemoved)
	require.Equal(t, before, load(t, s, session), "nothing is stored")
	require.NoError(t, grant(t, s, session, "alice", 3), "other members don't wait")
	setRole(t, s, session, "bob", events.RoleViewer, 3)
	require.ErrorIs(t, grant(t, s, session, "bob", 3), ports.ErrBeingRemoved)
	require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), removal[0]))
	require.NoError(t, grant(t, s, session, "bob", 3))
	for _, e := range claimSyncs(t, s, time.Hour) {
		require.False(t, e.Desired.Removed, "the removal is over and done")
		require.NoError(t, grant(t, s, session, "bob", 3), "a change of rights holds no grant back")
	}

	setRole(t, s, session, "alice", "", 4)
	require.NoError(t, grant(t, s, session, "alice", 5), "the removal was not begun, and never will be")
	for _, e := range claimSyncs(t, s, time.Hour) {
		require.False(t, e.Desired.Removed)
	}
}

// grantRace admits members again while others work on their removals: a participant who has a grant
// is not being removed.
func grantRace(t *testing.T, s Store) {
	const sessions, workers = 16, 3
	var granted sync.Map // by session
	var working, admitting sync.WaitGroup
	stop := make(chan struct{})
	for range workers {
		working.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				claimed, err := s.PermissionSyncs.ClaimPermissionSyncs(t.Context(), 2, time.Minute)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				for _, e := range claimed {
					if _, in := granted.Load(e.SessionID); in && e.Desired.Removed {
						t.Errorf("session %s: a removal is under way after bob was admitted again", e.SessionID)
					}
					if err := s.PermissionSyncs.SettlePermissionSync(t.Context(), e); err != nil {
						t.Errorf("settle: %v", err)
					}
				}
			}
		})
	}
	for range sessions {
		session := team(t, s)
		admitting.Go(func() {
			setRole(t, s, session, "bob", "", 2)
			for {
				err := grant(t, s, session, "bob", 3)
				if err == nil {
					granted.Store(session, true)
					return
				}
				if !errors.Is(err, ports.ErrBeingRemoved) {
					t.Errorf("admit: %v", err)
					return
				}
			}
		})
	}
	admitting.Wait()
	close(stop)
	working.Wait()
}

package portstest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// RoomDeletions is the suite of ports.RoomDeletions. open returns a store whose list is empty.
func RoomDeletions(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"a room is claimed by one only":              claimedOnce,
		"a claim that is not settled comes up again": leased,
		"a later request outlives an earlier claim":  outlives,
		"a postponed room waits":                     postponed,
		"a noticed room keeps its attempts and time": noticedRoom,
		"rooms that can't be deleted are counted":    failingRooms,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func requestDeletion(t testing.TB, s Store, session string) string {
	t.Helper()
	return deletionOf(t, s, session, false)
}

// deletionOf requests the deletion of a session's room, or only notices that it is there still.
func deletionOf(t testing.TB, s Store, session string, noticed bool) string {
	t.Helper()
	require.NoError(t, s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: m, DeleteRoom: true, Noticed: noticed}, nil
	}))
	return domain.RoomName(session)
}

func claim(t testing.TB, s Store, lease time.Duration) []ports.RoomDeletion {
	t.Helper()
	claimed, err := s.Deletions.Claim(t.Context(), 100, lease)
	require.NoError(t, err)
	return claimed
}

func claimedOnce(t *testing.T, s Store) {
	const rooms = 20
	for range rooms {
		requestDeletion(t, s, newSession())
	}
	var mu sync.Mutex
	claims := map[string]int{}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for {
				claimed, err := s.Deletions.Claim(t.Context(), 3, time.Minute)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, d := range claimed {
					claims[d.RoomName]++
				}
				mu.Unlock()
				for _, d := range claimed {
					if err := s.Deletions.Done(t.Context(), d); err != nil {
						t.Errorf("done: %v", err)
					}
				}
			}
		})
	}
	running.Wait()
	require.Len(t, claims, rooms)
	for room, n := range claims {
		require.Equal(t, 1, n, room)
	}
	_, waiting, err := s.Deletions.Next(t.Context())
	require.NoError(t, err)
	require.False(t, waiting)
}

func leased(t *testing.T, s Store) {
	room := requestDeletion(t, s, newSession())
	require.Len(t, claim(t, s, time.Hour), 1)
	require.Empty(t, claim(t, s, time.Hour))
	wait, waiting, err := s.Deletions.Next(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.InDelta(t, time.Hour.Seconds(), wait.Seconds(), 60)

	session := newSession()
	second := requestDeletion(t, s, session)
	claimed := claim(t, s, 20*time.Millisecond)
	require.Len(t, claimed, 1)
	require.Equal(t, second, claimed[0].RoomName)
	require.Eventually(t, func() bool {
		again := claim(t, s, time.Hour)
		return len(again) == 1 && again[0].RoomName == second
	}, 10*time.Second, 10*time.Millisecond)
	require.NotEqual(t, room, second)
}

func outlives(t *testing.T, s Store) {
	session := newSession()
	requestDeletion(t, s, session)
	first := claim(t, s, time.Hour)
	require.Len(t, first, 1)
	requestDeletion(t, s, session)
	require.NoError(t, s.Deletions.Done(t.Context(), first[0]))
	second := claim(t, s, time.Hour)
	require.Len(t, second, 1, "requested again, it is due at once")
	require.NoError(t, s.Deletions.Postpone(t.Context(), first[0], time.Hour))
	require.NoError(t, s.Deletions.Done(t.Context(), second[0]))
	require.NoError(t, s.Deletions.Done(t.Context(), second[0]))
	_, waiting, err := s.Deletions.Next(t.Context())
	require.NoError(t, err)
	require.False(t, waiting)
}

func postponed(t *testing.T, s Store) {
	requestDeletion(t, s, newSession())
	first := claim(t, s, time.Hour)
	require.Len(t, first, 1)
	require.Zero(t, first[0].Attempts)
	require.NoError(t, s.Deletions.Postpone(t.Context(), first[0], 20*time.Millisecond))
	require.Eventually(t, func() bool {
		again := claim(t, s, time.Hour)
		return len(again) == 1 && again[0].Attempts == 1
	}, 10*time.Second, 10*time.Millisecond)
}

func noticedRoom(t *testing.T, s Store) {
	session := newSession()
	room := deletionOf(t, s, session, true)
	first := claim(t, s, time.Hour)
	require.Len(t, first, 1, "a room that is not on the list is put on it")
	require.Equal(t, room, first[0].RoomName)

	deletionOf(t, s, session, true)
	require.Empty(t, claim(t, s, time.Hour), "a worker has claimed it")
	require.NoError(t, s.Deletions.Postpone(t.Context(), first[0], time.Hour))
	deletionOf(t, s, session, true)
	require.Empty(t, claim(t, s, time.Hour), "it keeps its time")
	failing, err := s.Deletions.Failing(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, failing, "it keeps its attempts")

	requestDeletion(t, s, session)
	second := claim(t, s, time.Hour)
	require.Len(t, second, 1, "a new request is due at once")
	require.Zero(t, second[0].Attempts)
	require.NotEqual(t, first[0].Generation, second[0].Generation)
	deletionOf(t, s, session, true)
	require.NoError(t, s.Deletions.Done(t.Context(), second[0]))
	_, waiting, err := s.Deletions.Next(t.Context())
	require.NoError(t, err)
	require.False(t, waiting, "the one that was noticed is done with it")
}

func failingRooms(t *testing.T, s Store) {
	failing := func(attempts, want int) {
		t.Helper()
		n, err := s.Deletions.Failing(t.Context(), attempts)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	failing(0, 0)
	sessions := []string{newSession(), newSession(), newSession()}
	for _, session := range sessions {
		requestDeletion(t, s, session)
	}
	fail := func() {
		t.Helper()
		claimed := claim(t, s, time.Minute)
		require.Len(t, claimed, len(sessions))
		for _, d := range claimed {
			require.NoError(t, s.Deletions.Postpone(t.Context(), d, 0))
		}
	}
	fail()
	failing(0, 3)
	failing(1, 3)
	failing(2, 0)
	fail()
	failing(2, 3)
	requestDeletion(t, s, sessions[0])
	failing(2, 2)
	failing(0, 3)
	for _, d := range claim(t, s, time.Minute) {
		require.NoError(t, s.Deletions.Done(t.Context(), d))
	}
	failing(0, 0)
}

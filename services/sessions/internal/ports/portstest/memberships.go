package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// setMember and removeMember change the members as their owner does.
func setMember(t *testing.T, s StoreUnderTest, id, user string, role events.Role) {
	t.Helper()
	changeMembers(t, s, id, func(session *domain.Session) ([]events.Draft, error) {
		change, err := session.SetMember(domain.Principal{UserID: "alice"}, events.Member{UserID: user, Role: role}, Start)
		return change.Drafts, err
	})
}

func removeMember(t *testing.T, s StoreUnderTest, id, user string) {
	t.Helper()
	changeMembers(t, s, id, func(session *domain.Session) ([]events.Draft, error) {
		return session.RemoveMember(domain.Principal{UserID: "alice"}, user, Start)
	})
}

func changeMembers(t *testing.T, s StoreUnderTest, id string, change func(*domain.Session) ([]events.Draft, error)) {
	t.Helper()
	_, err := s.Store.Update(t.Context(), viewerOf("alice"), id, func(session *domain.Session) ([]ports.Entry, error) {
		drafts, err := change(session)
		if err != nil {
			return nil, err
		}
		return Seal(t, id, drafts, Start), nil
	})
	require.NoError(t, err)
}

func testMemberships(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	other := created(t, s).Session.ID()
	setMember(t, s, id, "carol", events.RoleViewer)      // 2
	setMember(t, s, id, "carol", events.RoleParticipant) // 3
	mustTake(t, s, domain.Append, Fact(t, id, NewID(t), Connected(id, "alice")))
	removeMember(t, s, id, "bob")                   // 5
	removeMember(t, s, id, "carol")                 // 6
	setMember(t, s, id, "carol", events.RoleViewer) // 7
	removeMember(t, s, id, "carol")                 // 8
	setMember(t, s, id, "bob", events.RoleViewer)   // 9
	require.Equal(t, []ports.Membership{
		{SessionID: id, UserID: "alice", Since: 1},
		{SessionID: id, UserID: "bob", Since: 1, Until: 5},
		{SessionID: id, UserID: "bob", Since: 9},
		{SessionID: id, UserID: "carol", Since: 2, Until: 6},
		{SessionID: id, UserID: "carol", Since: 7, Until: 8},
	}, s.Memberships(id))
	require.Equal(t, []ports.Membership{
		{SessionID: other, UserID: "alice", Since: 1}, {SessionID: other, UserID: "bob", Since: 1},
	}, s.Memberships(other))
}

func testLoggedAt(t *testing.T, s StoreUnderTest) {
	before := time.Now()
	id := created(t, s).Session.ID()
	for range 5 {
		setMember(t, s, id, "carol", events.RoleViewer)
		removeMember(t, s, id, "carol")
	}
	_, err := s.Store.Update(t.Context(), viewerOf("alice"), id, finish(t, Start)) // two events at once
	require.NoError(t, err)
	times := s.LoggedAt(id)
	require.Len(t, times, 13)
	require.WithinDuration(t, before, times[0], time.Minute, "the store's clock, not the service's")
	for i, at := range times[1:] {
		require.False(t, at.Before(times[i]), "event %d was logged at %s, the one before at %s", i+2, at, times[i])
	}
}

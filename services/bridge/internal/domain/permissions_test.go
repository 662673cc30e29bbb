package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// learn tells of a member and returns the standings that follow.
func (c *call) learn(member domain.Member) []domain.DesiredPermission {
	before := c.mapping
	c.mapping = c.mapping.Learn(member.Version, member)
	return c.mapping.PermissionChanges(before)
}

func removed(user string, version int64) domain.Member {
	return domain.Member{UserID: user, Version: version, Removed: true}
}

func member(user string, role events.Role, version int64) domain.Member {
	return domain.Member{UserID: user, Role: role, Version: version}
}

func TestStandingsFollowTheMember(t *testing.T) {
	c := newCall(t)
	c.admit("bob", "phone", events.RoleParticipant)
	require.Equal(t, []domain.DesiredPermission{
		{Identity: "bob#default", UserID: "bob", Role: events.RoleViewer}, {Identity: "bob#phone", UserID: "bob", Role: events.RoleViewer},
	}, c.learn(member("bob", events.RoleViewer, 3)), "on every device")
	require.Empty(t, c.learn(member("bob", events.RoleViewer, 4)), "the role is the same")
	require.Empty(t, c.learn(removed("bob", 2)), "it came late")
	require.Empty(t, c.learn(member("carol", events.RoleHost, 5)), "no token was ever given")
	require.Equal(t, []domain.DesiredPermission{
		{Identity: "bob#default", UserID: "bob", Removed: true}, {Identity: "bob#phone", UserID: "bob", Removed: true},
	}, c.learn(removed("bob", 6)))

	before := c.mapping
	m, _, err := c.mapping.Admit(domain.GrantRequest{UserID: "bob", DeviceID: "tv", Role: events.RoleParticipant, SessionVersion: 7})
	require.NoError(t, err)
	require.Equal(t, []domain.DesiredPermission{
		{Identity: "bob#default", UserID: "bob", Role: events.RoleParticipant}, {Identity: "bob#phone", UserID: "bob", Role: events.RoleParticipant},
	}, m.PermissionChanges(before), "a token command may know of the new invitation first")
	require.Empty(t, m.Learn(7, member("bob", events.RoleParticipant, 7)).PermissionChanges(m), "and its event says nothing new")

	over, _ := m.Finalize(8)
	require.Empty(t, over.Learn(9, removed("bob", 9)).PermissionChanges(over), "the room goes as a whole")
}

func TestARemovedMemberWithALeftoverTokenIsNeverShown(t *testing.T) {
	c := newCall(t)
	c.learn(removed("bob", 2))
	require.Equal(t, []events.Type{events.CallConnecting}, c.hear(started(0), joined(0, "bob", 1)), "bob does not make the call connected")
	require.Equal(t, []domain.DesiredPermission{{Identity: "bob#default", UserID: "bob", Removed: true}}, c.last.Permissions)
	require.Empty(t, c.hear(published(0, "bob", 1, "TR_1"), unpublished(0, "bob", 1, "TR_1", 1500), left(0, "bob", 1, 2000, events.LeaveParticipantRemoved)))
	require.Empty(t, c.hear(joined(0, "bob", 3)))
	require.Len(t, c.last.Permissions, 1, "removed again, however often they come")
	require.Empty(t, c.hear(joined(0, "bob", 3)))
	require.Empty(t, c.last.Permissions, "a repeated webhook is nothing new")

	c.learn(member("bob", events.RoleViewer, 4))
	require.Equal(t, []events.Type{events.CallConnected, events.CallParticipantJoined}, c.hear(joined(0, "bob", 5)))
	require.Equal(t, []domain.DesiredPermission{{Identity: "bob#default", UserID: "bob", Role: events.RoleViewer}}, c.last.Permissions,
		"the token may be from before, with another role")
}

func TestARemovedMemberWhoComesBackIsShownNoLonger(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), joined(0, "bob", 2), published(0, "bob", 2, "TR_1"))
	c.learn(removed("bob", 2))
	require.Equal(t, []events.Type{events.CallTrackUnpublished, events.CallParticipantLeft}, c.hear(joined(0, "bob", 3)),
		"how the first connection ended was not told yet")
	left2, ok := c.log[len(c.log)-1].Payload.(events.CallParticipantLeftPayload)
	require.True(t, ok)
	require.Equal(t, events.LeaveParticipantRemoved, left2.Reason)
	require.Empty(t, c.hear(left(0, "bob", 2, 2900, events.LeaveParticipantRemoved), left(0, "bob", 3, 3100, events.LeaveParticipantRemoved)))
}

func TestWhoCameBeforeTheirRoleChangedIsToldOnce(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1))
	require.Empty(t, c.last.Permissions, "their token says what they are")
	require.Len(t, c.learn(member("alice", events.RoleViewer, 2)), 1)
	c.hear(left(0, "alice", 1, 2000, events.LeaveConnectionTimeout), joined(0, "alice", 3))
	require.Equal(t, []domain.DesiredPermission{{Identity: "alice#default", UserID: "alice", Role: events.RoleViewer}}, c.last.Permissions)
}

package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

func TestAListingAloneTellsOfTheCall(t *testing.T) {
	c := newCall(t)
	first, _ := c.look(listed(0, active("alice", 1, "TR_1"), domain.Listed{Connection: conn("bob", 2), State: domain.Connecting}), 0, domain.Missing{}, false)
	require.Equal(t, types{events.CallConnecting, events.CallConnected, events.CallParticipantJoined, events.CallTrackPublished}, first)
	require.Equal(t, types{events.CallParticipantJoined}, c.lookTwice(listed(0, active("alice", 1, "TR_1"), active("bob", 2)), 1000))
	require.Equal(t, types{events.CallTrackUnpublished, events.CallTrackPublished}, sorted(c.lookTwice(listed(0, active("alice", 1, "TR_2"), active("bob", 2)), 4000)))
	require.Equal(t, types{events.CallTrackUnpublished, events.CallParticipantReconnecting}, c.lookTwice(listed(0, active("bob", 2)), 8000))
	require.Equal(t, types{events.CallParticipantReconnecting, events.CallReconnecting}, c.lookTwice(listed(0), 12_000))
	require.Empty(t, c.lookTwice(nobody, 20_000), "the room went, and they may come back")
	require.Equal(t, types{events.CallParticipantLeft, events.CallParticipantLeft, events.CallDisconnected}, c.expire(nobody, 60_000))
	require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]), "nobody saw them lost")
}

// sorted has what was unpublished first: it takes a second look, what is published takes one.
func sorted(said types) types {
	if len(said) == 2 && said[0] == events.CallTrackPublished {
		return types{said[1], said[0]}
	}
	return said
}

func TestAWebhookAndAListingAgree(t *testing.T) {
	told, seen := newCall(t), newCall(t)
	told.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"))
	seen.look(listed(0, active("alice", 1, "TR_1")), 0, domain.Missing{}, false)
	require.Len(t, seen.log, len(told.log))
	for n := range told.log {
		require.Equal(t, told.log[n].ID, seen.log[n].ID)
	}
	require.Empty(t, seen.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1")), "the webhooks come after all")
	again, _ := told.look(listed(0, active("alice", 1, "TR_1")), 0, domain.Missing{}, false)
	require.Empty(t, again)
}

func TestAnAbsenceIsSeenTwice(t *testing.T) {
	c := inCall(t)
	only := listed(0, active("bob", 2))
	said, missing := c.look(only, 0, domain.Missing{}, false)
	require.Empty(t, said)
	require.False(t, missing.IsEmpty())
	said, _ = c.look(only, 1999, missing, false)
	require.Empty(t, said, "too soon")
	said, _ = c.look(listed(0, active("bob", 2), domain.Listed{Connection: conn("alice", 3), State: domain.Connecting}), 5000, missing, false)
	require.Empty(t, said, "on her way in")
	c.hear(joined(0, "alice", 4))
	said, later := c.look(only, 5000, missing, false)
	require.Empty(t, said, "it is another connection that is missing")
	require.Equal(t, map[string]string{"alice#default": "PA_alice4"}, later.Participants)
	said, _ = c.look(only, 7000, later, false)
	require.Equal(t, types{events.CallParticipantReconnecting}, said)
	require.Empty(t, c.lookTwice(only, 8000), "she is waited for")
	said, _ = c.look(listed(0, active("alice", 4, "TR_1"), active("bob", 2)), 20_000, domain.Missing{}, false)
	require.Equal(t, types{events.CallParticipantReconnected, events.CallTrackPublished}, said, "nobody had told that the connection was over")
}

func TestAListingOlderThanAChangeSaysNothing(t *testing.T) {
	c := inCall(t)
	before := c.mapping
	m, result, missing := c.mapping.Inspect(domain.Inspection{Listing: nobody, Revision: c.mapping.Revision() - 1, Expire: true}, now)
	require.Equal(t, before, m)
	require.Equal(t, domain.Result{Outcome: domain.Conflict}, result)
	require.True(t, missing.IsEmpty())
}

func TestARoomThatIsGoneWithNobodyInItWasFinished(t *testing.T) {
	c := inCall(t)
	c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated), left(0, "bob", 2, 6000, events.LeaveClientInitiated))
	require.Equal(t, types{events.CallDisconnected}, c.lookTwice(nobody, 0))
	require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]))
	require.Empty(t, c.hear(finished(0, 26_000)), "the webhook comes after all")
}

func TestWhoWasMissedBeforeTheRoomWentLeftInOrder(t *testing.T) {
	c := inCall(t)
	c.hear(left(0, "bob", 2, 3000, events.LeaveClientInitiated))
	said, missing := c.look(listed(0), 0, domain.Missing{}, false)
	require.Empty(t, said)
	said, missing = c.look(nobody, 2000, missing, false)
	require.Equal(t, types{events.CallParticipantReconnecting, events.CallReconnecting}, said, "the room was closed after her, as an empty one is")
	require.Equal(t, "RM_a", missing.RoomSID, "and is itself missed for the first time")
	require.Empty(t, c.lookTwice(nobody, 5000))
	require.Equal(t, types{events.CallParticipantLeft, events.CallDisconnected}, c.expire(nobody, 60_000))
	require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]))
}

func TestWhoWasInTheRoomWhenItWentIsLostWithIt(t *testing.T) {
	c := inCall(t)
	_, missing := c.look(listed(0, active("bob", 2)), 0, domain.Missing{}, false)
	said, _ := c.look(nobody, 2000, missing, false)
	require.Equal(t, types{events.CallParticipantReconnecting}, said, "alice had gone before")
	require.Equal(t, types{events.CallParticipantReconnecting, events.CallReconnecting}, c.lookTwice(nobody, 5000))
	c.expire(nobody, 60_000)
	require.Equal(t, "provider_failure", reasonOf(t, c.log[len(c.log)-1]))
}

func TestARoomMissedByMistake(t *testing.T) {
	c := inCall(t)
	require.Len(t, c.lookTwice(nobody, 0), 3)
	require.Equal(t, types{events.CallParticipantReconnected, events.CallReconnected, events.CallParticipantReconnected},
		c.lookTwice(listed(0, active("alice", 1), active("bob", 2)), 5000))
	require.Equal(t, domain.PhaseOpen, c.mapping.State().Room.Phase)
	require.Equal(t, types{events.CallTrackPublished}, c.hear(published(0, "alice", 1, "TR_1")), "and all goes on")
}

func TestAnotherRoomIsListed(t *testing.T) {
	c := inCall(t)
	require.Equal(t, types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantReconnected,
		events.CallReconnected, events.CallParticipantReconnected}, c.lookTwice(listed(1, active("alice", 101), active("bob", 102)), 0),
		"the server was killed, and both were back before anybody looked")
	said, missing := c.look(listed(0), 10_000, domain.Missing{}, false)
	require.Empty(t, said, "an older room may be a stale entry")
	require.Equal(t, "RM_a", missing.OtherRoom)
	require.Empty(t, c.lookTwice(listed(1, active("alice", 101), active("bob", 102)), 12_000))
	require.Equal(t, types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting}, c.lookTwice(listed(0), 20_000),
		"two listings are no mistake, whatever the clocks say")
}

func TestAnEmptyRoomIsListed(t *testing.T) {
	c := newCall(t)
	require.Equal(t, types{events.CallConnecting}, c.lookTwice(listed(0), 0))
	require.Empty(t, c.lookTwice(nobody, 5000))
	require.Equal(t, domain.PhaseFinished, c.mapping.State().Room.Phase)
	require.False(t, c.mapping.Over())
	require.Equal(t, types{events.CallConnected, events.CallParticipantJoined}, c.lookTwice(listed(1, active("alice", 101)), 10_000))
}

func TestAZombieIsListed(t *testing.T) {
	c := inCall(t)
	m, _ := c.mapping.Finalize(9)
	c.mapping = m
	require.Empty(t, c.lookTwice(listed(0, active("alice", 1), active("bob", 2)), 0))
	require.True(t, c.last.DeleteRoom)
	require.Equal(t, types{events.CallParticipantLeft}, c.lookTwice(listed(0, active("bob", 2)), 5000), "there is nothing to wait for")
	require.Equal(t, types{events.CallParticipantLeft, events.CallDisconnected}, c.lookTwice(nobody, 10_000))
	require.Empty(t, c.lookTwice(listed(1, active("alice", 101)), 20_000))
	require.True(t, c.last.DeleteRoom, "a leftover token made the room again")
}

func TestARemovedMemberIsListed(t *testing.T) {
	c := inCall(t)
	c.hear(left(0, "bob", 2, 3000, events.LeaveParticipantRemoved))
	c.learn(removed("bob", 3))
	said, _ := c.look(listed(0, active("alice", 1), active("bob", 5)), 0, domain.Missing{}, false)
	require.Empty(t, said)
	require.Equal(t, []domain.DesiredPermission{{Identity: "bob#default", UserID: "bob", Removed: true}}, c.last.Permissions)
}

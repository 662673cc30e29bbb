package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

type types = []events.Type

func reasonOf(t *testing.T, e domain.Event) string {
	t.Helper()
	switch p := e.Payload.(type) {
	case events.CallDisconnectedPayload:
		return string(p.Reason)
	case events.CallParticipantLeftPayload:
		return string(p.Reason)
	}
	t.Fatalf("%s has no reason", e.Payload.EventType())
	return ""
}

func TestACallFromFirstSignOfLifeToTheEnd(t *testing.T) {
	c := newCall(t)
	require.Equal(t, types{events.CallConnecting}, c.hear(started(0)))
	require.Equal(t, types{events.CallConnected, events.CallParticipantJoined}, c.hear(joined(0, "alice", 1)))
	require.Equal(t, types{events.CallTrackPublished}, c.hear(published(0, "alice", 1, "TR_1")))
	require.Equal(t, types{events.CallParticipantJoined}, c.hear(joined(0, "bob", 2)))
	require.Equal(t, types{events.CallTrackUnpublished}, c.hear(unpublished(0, "alice", 1, "TR_1", 3000)))
	require.Equal(t, types{events.CallParticipantLeft}, c.hear(left(0, "alice", 1, 3000, events.LeaveClientInitiated)))
	require.Equal(t, types{events.CallParticipantLeft}, c.hear(left(0, "bob", 2, 4000, events.LeaveClientInitiated)))
	require.Equal(t, types{events.CallDisconnected}, c.hear(finished(0, 9000)))
	require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]))
	require.True(t, c.mapping.Over())
}

func TestTheSameFactGivesTheSameEvent(t *testing.T) {
	facts := []domain.Fact{started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"), left(0, "alice", 1, 3000, events.LeaveClientInitiated), finished(0, 9000)}
	one, two := newCall(t), newCall(t)
	one.hear(facts...)
	for _, f := range facts {
		two.hear(f)
		require.Empty(t, two.hear(f), "a repeated fact says nothing new")
		require.Equal(t, domain.Duplicate, two.last.Outcome)
	}
	require.Equal(t, one.log, two.log)
	require.Equal(t, one.mapping, two.mapping)
	require.Empty(t, two.hear(facts...), "nor does the whole call again")
	ids := map[string]bool{}
	for _, e := range one.log {
		require.False(t, ids[e.ID], "ids are never shared")
		ids[e.ID] = true
	}
}

func TestTimesNeverGoBack(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"))
	// The provider tells when somebody left in whole seconds, so that it can lie before their
	// joining.
	c.hear(left(0, "alice", 1, 1000-700, events.LeaveRoomDeleted), finished(0, 300))
	for i := 1; i < len(c.log); i++ {
		require.False(t, c.log[i].Timestamp.Before(c.log[i-1].Timestamp), "%s", c.log[i].Payload.EventType())
	}
}

func TestReplacedConnectionsAreSilent(t *testing.T) {
	for _, why := range []events.LeaveReason{events.LeaveDuplicateIdentity, events.LeaveMigration} {
		c := newCall(t)
		c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"))
		require.Empty(t, c.hear(left(0, "alice", 1, 2000, why)))
		require.Equal(t, types{events.CallTrackUnpublished}, c.hear(joined(0, "alice", 3)), "its tracks went with it")
		require.Equal(t, types{events.CallTrackPublished}, c.hear(published(0, "alice", 3, "TR_1")), "also where the track keeps its sid")
		require.Equal(t, types{events.CallTrackUnpublished, events.CallParticipantLeft}, c.hear(left(0, "alice", 3, 5000, events.LeaveClientInitiated)))
		require.Empty(t, c.hear(joined(0, "alice", 1), left(0, "alice", 1, 2000, why), published(0, "alice", 1, "TR_9")))
	}
}

func TestWhoWasReplacedAndNeverCameLeavesInTheEnd(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"), left(0, "alice", 1, 2000, events.LeaveMigration))
	require.Empty(t, c.hear(finished(0, 9000)), "she may be on her way")
	require.Empty(t, c.expire(domain.Listing{}, 27_999))
	require.Equal(t, types{events.CallTrackUnpublished, events.CallParticipantLeft, events.CallDisconnected}, c.expire(domain.Listing{}, 30_000))
	require.Equal(t, "migration", reasonOf(t, c.log[len(c.log)-2]))
	require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]))
}

func TestJoinOfANewConnectionWithoutTheLeaveOfTheOld(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1))
	require.Empty(t, c.hear(joined(0, "alice", 2)))
	require.Empty(t, c.hear(left(0, "alice", 1, 2500, events.LeaveConnectionTimeout)), "the old connection's end is nobody's leave")
	require.Equal(t, types{events.CallParticipantLeft}, c.hear(left(0, "alice", 3, 4000, events.LeaveClientInitiated)), "a later connection, whose join was lost, has ended")
}

func TestALeaveTellsOfTheJoinThatWasLost(t *testing.T) {
	c := newCall(t)
	require.Equal(t, types{events.CallConnecting, events.CallConnected, events.CallParticipantJoined, events.CallParticipantLeft},
		c.hear(left(0, "alice", 1, 1500, events.LeaveClientInitiated)), "only who was in the room is told to have left it")
	require.Empty(t, c.hear(started(0), joined(0, "alice", 1)), "the room is known, the connection is over")
	require.Equal(t, types{events.CallParticipantJoined}, c.hear(joined(0, "alice", 2)))
	require.Empty(t, c.hear(left(0, "bob", 1, 2500, events.LeaveJoinFailure), left(0, "alice", 3, 3500, events.LeaveJoinFailure)),
		"a connection that never stood says nothing of the one that does")
	require.Equal(t, types{events.CallParticipantJoined, events.CallParticipantReconnecting}, c.hear(left(0, "bob", 3, 3500, events.LeaveConnectionTimeout)))
}

func TestTrackSeenClosedFirstIsNeverOpened(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1))
	require.Empty(t, c.hear(unpublished(0, "alice", 1, "TR_1", 2000), published(0, "alice", 1, "TR_1")))
}

func TestHowTheLastOneLeftDecides(t *testing.T) {
	cases := map[string]struct {
		facts []domain.Fact
		want  string
	}{
		"lost, then hung up": {[]domain.Fact{left(0, "alice", 1, 5000, events.LeaveConnectionTimeout), left(0, "bob", 2, 6000, events.LeaveClientInitiated)}, "completed"},
		"hung up, then lost": {[]domain.Fact{left(0, "alice", 1, 5000, events.LeaveClientInitiated), left(0, "bob", 2, 6000, events.LeaveConnectionTimeout)}, "reconnect_timeout"},
		"told late":          {[]domain.Fact{left(0, "bob", 2, 6000, events.LeaveClientInitiated), left(0, "alice", 1, 5000, events.LeaveSignalClose)}, "completed"},
		"nobody was told of": {nil, "completed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := newCall(t)
			c.hear(started(0), joined(0, "alice", 1), joined(0, "bob", 2))
			c.hear(tc.facts...)
			c.hear(finished(0, 9000))
			c.expire(domain.Listing{}, 30_000)
			require.Equal(t, tc.want, reasonOf(t, c.log[len(c.log)-1]))
		})
	}
}

func TestAnEmptyRoomMayStartAgain(t *testing.T) {
	c := newCall(t)
	require.Equal(t, types{events.CallConnecting}, c.hear(started(0), finished(0, 9000)))
	require.False(t, c.mapping.Over())
	require.Equal(t, types{events.CallConnected, events.CallParticipantJoined}, c.hear(started(1), joined(1, "alice", 200)))
	require.Empty(t, c.hear(finished(0, 9000), joined(0, "bob", 2)), "the room before is over")
	require.Equal(t, "RM_a", c.mapping.State().Room.FirstSID)
}

func TestUnmappedIdentitiesAreNeverPresence(t *testing.T) {
	c := newCall(t)
	require.Equal(t, types{events.CallConnecting}, c.hear(started(0), joined(0, "mallory", 1), published(0, "mallory", 1, "TR_1")))
	require.Equal(t, domain.Unmapped, c.last.Outcome)
	require.Empty(t, c.hear(left(0, "mallory", 1, 2000, events.LeaveClientInitiated), finished(0, 9000)))
	require.Equal(t, types{}, c.lookTwice(listed(0, active("mallory", 1, "TR_1")), 0))
}

func TestAFinalMappingOnlyUndoes(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"))
	m, deleteRoom := c.mapping.Finalize(7)
	require.True(t, deleteRoom)
	c.mapping = m
	require.Empty(t, c.hear(joined(0, "bob", 2)))
	require.True(t, c.last.DeleteRoom, "somebody came although the call is over")
	require.Empty(t, c.hear(published(0, "alice", 1, "TR_2"), published(0, "bob", 2, "TR_3")))
	require.Equal(t, types{events.CallTrackUnpublished, events.CallParticipantLeft, events.CallDisconnected},
		c.hear(left(0, "alice", 1, 5000, events.LeaveRoomDeleted), left(0, "bob", 2, 5000, events.LeaveRoomDeleted), finished(0, 5000)))
	require.Empty(t, c.hear(started(1)))
	require.True(t, c.last.DeleteRoom, "a leftover token made the room again")
	require.Empty(t, c.hear(joined(1, "alice", 101), finished(1, 110_000)))
	require.Empty(t, c.hear(started(0)))
	require.False(t, c.last.DeleteRoom, "what is known to be gone needs no deletion")
	_, again := c.mapping.Finalize(7)
	require.False(t, again)
}

func TestARoomThatComesBackAfterTheEndIsDeleted(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), left(0, "alice", 1, 2000, events.LeaveClientInitiated), finished(0, 9000))
	require.Empty(t, c.hear(started(1), joined(1, "alice", 101)))
	require.True(t, c.last.DeleteRoom)
}

func TestMissingTimesFallBackToNow(t *testing.T) {
	c := newCall(t)
	s := domain.Observation{Room: domain.RoomRef{Name: domain.RoomName(sessionID), SID: "RM_x"}}
	require.Equal(t, types{events.CallConnecting, events.CallConnected, events.CallParticipantJoined},
		c.hear(domain.ParticipantJoined{Observation: s, Connection: domain.Connection{Identity: "alice#default", SID: "PA_x"}}))
	for _, e := range c.log {
		require.Equal(t, at(999_999), e.Timestamp)
	}
	s.Room.CreatedAt = at(5)
	c.hear(domain.RoomStarted{Observation: s})
	require.Equal(t, at(5), c.mapping.State().Room.CreatedAt)
	require.Empty(t, c.hear(domain.RoomStarted{Observation: domain.Observation{Room: domain.RoomRef{SID: ""}, At: time.Time{}}}))
}

package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// A client that publishes at once may have its track told before its join.
func TestTrackBeforeItsJoinIsShownAfterIt(t *testing.T) {
	c := newCall(t)
	require.Equal(t, []events.Type{events.CallConnecting}, c.hear(started(0), published(0, "alice", 1, "TR_2"), published(0, "alice", 1, "TR_1")))
	require.Equal(t, []events.Type{
		events.CallConnected, events.CallParticipantJoined, events.CallTrackPublished, events.CallTrackPublished,
	}, c.hear(joined(0, "alice", 1)))
	_, asked := c.mapping.NextCheckAt()
	require.False(t, asked, "the join that the tracks called for is there")
	require.Equal(t, "TR_1", c.log[3].Payload.(events.CallTrackPublishedPayload).TrackSID)
	require.Equal(t, "PA_alice1", c.log[3].Payload.(events.CallTrackPublishedPayload).ParticipantSID)
	require.Empty(t, c.hear(published(0, "alice", 1, "TR_1"), joined(0, "alice", 1)), "nothing twice")
	require.Equal(t, []events.Type{events.CallTrackUnpublished}, c.hear(unpublished(0, "alice", 1, "TR_2", 1500)))
	require.Equal(t, []events.Type{events.CallTrackUnpublished, events.CallParticipantLeft},
		c.hear(left(0, "alice", 1, 2000, events.LeaveClientInitiated)))
}

func TestEventsAreTheSameInEitherOrder(t *testing.T) {
	inOrder, early := newCall(t), newCall(t)
	inOrder.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"))
	early.hear(started(0), published(0, "alice", 1, "TR_1"), joined(0, "alice", 1))
	require.Equal(t, inOrder.log, early.log)
}

func TestEarlyTrackOfTheNextConnectionOutlivesTheOneBefore(t *testing.T) {
	for name, reason := range map[string]events.LeaveReason{"left": events.LeaveClientInitiated, "replaced": events.LeaveDuplicateIdentity} {
		t.Run(name, func(t *testing.T) {
			c := newCall(t)
			c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"), published(0, "alice", 3, "TR_2"))
			c.hear(left(0, "alice", 1, 2000, reason))
			require.Contains(t, c.hear(joined(0, "alice", 3)), events.CallTrackPublished)
			require.Equal(t, "TR_2", c.log[len(c.log)-1].Payload.(events.CallTrackPublishedPayload).TrackSID)
			require.Equal(t, "PA_alice3", c.log[len(c.log)-1].Payload.(events.CallTrackPublishedPayload).ParticipantSID)
		})
	}
}

func TestEarlyTrackThatIsGoneIsNeverShown(t *testing.T) {
	for name, end := range map[string]func(c *call){
		"unpublished":              func(c *call) { c.hear(unpublished(0, "alice", 1, "TR_1", 1200), joined(0, "alice", 1)) },
		"its connection ended":     func(c *call) { c.hear(left(0, "alice", 1, 1200, events.LeaveJoinFailure), joined(0, "alice", 2)) },
		"of a connection long ago": func(c *call) { c.hear(joined(0, "alice", 4), published(0, "alice", 2, "TR_3"), finished(0, 9000)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCall(t)
			c.hear(started(0), published(0, "alice", 1, "TR_1"))
			end(c)
			for _, e := range c.log {
				require.NotEqual(t, events.CallTrackPublished, e.Payload.EventType())
			}
		})
	}
}

package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// found has a participant answer when they are asked for.
func (c *call) found(user string, n int) {
	c.answer(user, domain.Answer{Kind: domain.Found, Found: active(user, n)})
}

func (c *call) answer(user string, answer domain.Answer) {
	if c.answers == nil {
		c.answers = map[string]domain.Answer{}
	}
	c.answers[user+"#default"] = answer
}

// idsOnce holds that no event id was given twice.
func (c *call) idsOnce() {
	c.t.Helper()
	ids := map[string]bool{}
	for _, e := range c.log {
		require.False(c.t, ids[e.ID], "the id of %s is given once", e.Payload.EventType())
		ids[e.ID] = true
	}
}

func TestAnAbsentParticipantWhoAnswersIsNotLost(t *testing.T) {
	c := inCall(t)
	c.found("alice", 1)
	require.Empty(t, c.lookTwice(listed(0, active("bob", 2)), 0))
	c.found("bob", 2)
	for ms := 10_000; ms < 600_000; ms += 10_000 {
		require.Empty(t, c.lookTwice(nobody, ms), "a quiet call goes on")
	}
	require.Equal(t, domain.PhaseOpen, c.mapping.State().Room.Phase)
}

func TestWithoutAnAnswerNothingIsInferred(t *testing.T) {
	c := inCall(t)
	c.answer("alice", domain.Answer{})
	c.answer("bob", domain.Answer{})
	require.Empty(t, c.lookTwice(nobody, 0))
	require.Equal(t, []string{"alice#default", "bob#default"}, c.last.Ask)
	c.hear(timeout(0, "alice", 1, 5000), timeout(0, "bob", 2, 5000))
	require.Empty(t, c.expire(nobody, 10*lostLate), "a grace period waits, too")
	c.answers = nil
	said, _ := c.look(nobody, 10*lostLate+1000, domain.Missing{}, true)
	require.Empty(t, said, "one answer is not enough")
	require.Equal(t, types{events.CallParticipantLeft, events.CallParticipantLeft}, c.expire(nobody, 11*lostLate))
}

func TestAnInferredEndIsUndone(t *testing.T) {
	onlyBob := listed(0, active("bob", 2))
	both := listed(0, active("alice", 1, "TR_1"), active("bob", 2))
	cases := map[string]struct {
		gone bool // the grace period is over
		undo func(c *call) []events.Type
	}{
		"by a track, in the grace period":    {false, func(c *call) []events.Type { return c.hear(published(0, "alice", 1, "TR_1")) }},
		"by a join, in the grace period":     {false, func(c *call) []events.Type { return c.hear(joined(0, "alice", 1), published(0, "alice", 1, "TR_1")) }},
		"by a listing, in the grace period":  {false, func(c *call) []events.Type { return c.lookTwice(both, 40_000) }},
		"by a track, after it":               {true, func(c *call) []events.Type { return c.hear(published(0, "alice", 1, "TR_1")) }},
		"by a listing, after it":             {true, func(c *call) []events.Type { return c.lookTwice(both, 50_000) }},
		"by another connection, as it seems": {true, func(c *call) []events.Type { return c.hear(joined(0, "alice", 0), published(0, "alice", 0, "TR_1")) }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := newCall(t)
			c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"), joined(0, "bob", 2))
			require.Equal(t, types{events.CallTrackUnpublished, events.CallParticipantReconnecting}, c.lookTwice(onlyBob, 0))
			want := events.CallParticipantReconnected
			if tc.gone {
				require.Equal(t, types{events.CallParticipantLeft}, c.expire(onlyBob, lostLate+2000))
				want = events.CallParticipantJoined
			}
			require.Equal(t, types{want, events.CallTrackPublished}, tc.undo(c))
			require.Equal(t, types{events.CallTrackUnpublished, events.CallParticipantLeft}, c.hear(left(0, "alice", c.connection("alice"), 60_000, events.LeaveClientInitiated)))
			c.idsOnce()
		})
	}
}

// connection is the number of a user's current connection.
func (c *call) connection(user string) int {
	sid := c.mapping.State().Participants[user+"#default"].SID
	return int(sid[len(sid)-1] - '0')
}

func TestAToldEndStandsAgainstAListing(t *testing.T) {
	c := inCall(t)
	require.Equal(t, types{events.CallParticipantLeft}, c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated)))
	stale := listed(0, active("alice", 1, "TR_1"), active("bob", 2))
	require.Empty(t, c.lookTwice(stale, 0))
	require.Equal(t, types{events.CallParticipantJoined}, c.hear(joined(0, "alice", 6)))
	require.Empty(t, c.hear(joined(0, "alice", 1), published(0, "alice", 1, "TR_2")), "nor does a late webhook bring it back")
	c.found("alice", 6)
	require.Empty(t, c.lookTwice(stale, 10_000), "a stale entry does not take the place of who is there")
	require.Equal(t, "PA_alice6", c.mapping.State().Participants["alice#default"].SID)
	c.idsOnce()
}

func TestAListedConnectionIsCurrentWhateverItsClock(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 9), timeout(0, "alice", 9, 20_000))
	require.Empty(t, c.hear(joined(0, "alice", 1)), "of two webhooks the clock decides")
	next, asked := c.mapping.NextCheckAt()
	require.True(t, asked)
	require.Equal(t, now.Now.Add(time.Second), next, "and the provider is asked which it is")
	require.Equal(t, types{events.CallParticipantReconnected, events.CallReconnected}, c.expire(listed(0, active("alice", 1)), 3000))
	require.Equal(t, types{events.CallParticipantLeft}, c.hear(left(0, "alice", 1, 30_000, events.LeaveClientInitiated)))
}

func TestAListedRoomIsCurrentWhateverItsClock(t *testing.T) {
	c := newCall(t)
	c.hear(started(3), joined(3, "alice", 301))
	c.hear(finished(3, 400_000))
	require.Equal(t, types{events.CallParticipantReconnected, events.CallReconnected}, c.lookTwice(listed(0, active("alice", 1)), 0))
	require.Equal(t, "RM_a", c.mapping.State().Room.SID)
}

func TestATrackThatWasOnlyMissedIsPublishedAnew(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"))
	require.Equal(t, types{events.CallTrackUnpublished}, c.lookTwice(listed(0, active("alice", 1)), 0))
	require.Equal(t, types{events.CallTrackPublished}, c.lookTwice(listed(0, active("alice", 1, "TR_1")), 5000))
	require.Equal(t, types{events.CallTrackUnpublished}, c.lookTwice(listed(0, active("alice", 1)), 10_000))
	require.Equal(t, types{events.CallTrackPublished}, c.hear(published(0, "alice", 1, "TR_1")))
	require.Equal(t, types{events.CallTrackUnpublished}, c.hear(unpublished(0, "alice", 1, "TR_1", 9000)))
	require.Empty(t, c.lookTwice(listed(0, active("alice", 1, "TR_1")), 20_000), "what was told to end stands")
	c.idsOnce()
}

func TestARoomThatIsOnlyUnlistedIsOpenedAgain(t *testing.T) {
	c := inCall(t)
	require.Len(t, c.lookTwice(nobody, 0), 3)
	require.Equal(t, domain.PhaseFinished, c.mapping.State().Room.Phase)
	require.Equal(t, types{events.CallParticipantReconnected, events.CallTrackPublished, events.CallReconnected}, c.hear(published(0, "bob", 2, "TR_2")))
	require.Equal(t, domain.PhaseOpen, c.mapping.State().Room.Phase)
	require.Equal(t, types{events.CallParticipantReconnected}, c.hear(joined(0, "alice", 1)))
	c.idsOnce()
}

func TestTheSameRoomAfterItsFinish(t *testing.T) {
	c := inCall(t)
	c.hear(timeout(0, "bob", 2, 4000), left(0, "alice", 1, 5000, events.LeaveClientInitiated), finished(0, 9000))
	require.False(t, c.mapping.Over(), "bob is waited for")
	require.Empty(t, c.hear(domain.RoomStarted{Observation: seen(0, 10_000)}))
	require.Equal(t, types{events.CallParticipantReconnected, events.CallReconnected}, c.hear(joined(0, "bob", 11)), "and is not lost in the same breath")
	require.Empty(t, c.hear(finished(0, 9000)), "the finish is repeated")
	require.Empty(t, c.lookTwice(listed(0, active("bob", 11)), 0))
	require.Equal(t, types{events.CallParticipantLeft, events.CallDisconnected}, c.hear(left(0, "bob", 11, 12_000, events.LeaveClientInitiated), finished(0, 13_000)))
	c.idsOnce()
}

func TestAFinishThatWasToldStandsAgainstAStaleListing(t *testing.T) {
	c := inCall(t)
	c.hear(finished(0, 9000))
	require.Empty(t, c.lookTwice(listed(0, active("alice", 1), active("bob", 2)), 0))
	require.Equal(t, types{events.CallParticipantReconnected, events.CallReconnected}, c.lookTwice(listed(0, active("bob", 9)), 5000),
		"a connection that is new is no stale entry")
}

// A room's last webhooks often come when the next one is there.
func TestEndsThatAreToldOfAnEarlierRoomStand(t *testing.T) {
	c := inCall(t)
	c.hear(started(1), joined(1, "alice", 101), joined(1, "bob", 102))
	require.Empty(t, c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated), finished(0, 9000)))
	stale := listed(0, active("alice", 1), active("bob", 2))
	require.Empty(t, c.lookTwice(stale, 0))
	c.hear(started(2), joined(2, "alice", 201), joined(2, "bob", 202))
	c.found("bob", 202)
	require.Empty(t, c.lookTwice(listed(1, active("bob", 102)), 5000), "bob answers from the room that is known")
	require.Equal(t, "PA_alice201", c.mapping.State().Participants["alice#default"].SID)
}

func TestAConnectionThatIsAborted(t *testing.T) {
	aborted := func(user string, n int) domain.Fact {
		return domain.ParticipantLeft{Observation: seen(0, 5000), Connection: conn(user, n), Reason: events.LeaveUnknown, Aborted: true}
	}
	c := inCall(t)
	require.Equal(t, types{events.CallParticipantReconnecting}, c.hear(aborted("alice", 1)), "it was fully in the room")
	require.Empty(t, c.hear(aborted("bob", 7)), "it never was")
	require.Empty(t, c.hear(joined(0, "bob", 7)))
	require.Equal(t, types{events.CallParticipantLeft}, c.expire(listed(0, active("bob", 2)), lostLate))
}

func TestATrackOfAnUnknownConnectionAsksForALook(t *testing.T) {
	c := inCall(t)
	c.hear(published(0, "alice", 5, "TR_5"))
	_, asked := c.mapping.NextCheckAt()
	require.True(t, asked)
	require.Equal(t, types{events.CallTrackPublished}, c.expire(listed(0, active("alice", 5, "TR_5"), active("bob", 2)), 3000))
	_, asked = c.mapping.NextCheckAt()
	require.False(t, asked)
}

func TestAnUnknownReasonMakesNoFailure(t *testing.T) {
	c := inCall(t)
	c.hear(left(0, "alice", 1, 5000, events.LeaveUnknown), left(0, "bob", 2, 6000, events.LeaveUnknown), finished(0, 9000))
	c.expire(nobody, lostLate)
	require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]))
}

// The store of the provider outlives its nodes: it lists the dead.
func TestTheListedDeadAreAskedFor(t *testing.T) {
	c := inCall(t)
	dead := listed(0, active("alice", 1), active("bob", 2))
	require.Empty(t, c.lookTwice(dead, 0), "no time has passed")
	c.silent = map[string]bool{"alice#default": true, "bob#default": true}
	require.Empty(t, c.lookTwice(dead, 5000), "not found proves nothing while they are listed")
	c.found("alice", 1)
	c.answer("bob", domain.Answer{Kind: domain.NoResponse})
	require.Equal(t, types{events.CallParticipantReconnecting}, c.lookTwice(dead, 10_000))
	require.Empty(t, c.lookTwice(dead, 20_000), "the listing alone does not bring bob back")
	require.Equal(t, types{events.CallParticipantLeft}, c.expire(dead, 60_000))
	c.answer("alice", domain.Answer{Kind: domain.NoResponse})
	require.Equal(t, types{events.CallParticipantReconnecting, events.CallReconnecting}, c.lookTwice(dead, 70_000))
	require.Equal(t, types{events.CallParticipantLeft}, c.expire(dead, 130_000))
	require.Empty(t, c.lookTwice(dead, 140_000), "the room is still listed")
	require.Equal(t, types{events.CallDisconnected}, c.lookTwice(dead, 180_000))
	require.Equal(t, "provider_failure", reasonOf(t, c.log[len(c.log)-1]))
	require.True(t, c.last.DeleteRoom)
	c.idsOnce()
}

func TestASilentNodeThatAnswersAgain(t *testing.T) {
	c := inCall(t)
	all := listed(0, active("alice", 1), active("bob", 2))
	c.silent = map[string]bool{"bob#default": true}
	c.answer("bob", domain.Answer{Kind: domain.NoResponse})
	require.Equal(t, types{events.CallParticipantReconnecting}, c.lookTwice(all, 0))
	c.found("bob", 2)
	require.Equal(t, types{events.CallParticipantReconnected}, c.lookTwice(all, 10_000))
	c.idsOnce()
}

func TestAListingContraryToWhatIsDesiredHasItEnforced(t *testing.T) {
	c := inCall(t)
	c.learn(removed("bob", 2))
	viewer := active("alice", 1)
	viewer.Role = events.RoleViewer
	for ms := 0; ms < 30_000; ms += 10_000 {
		require.Empty(t, c.lookTwice(listed(0, viewer, active("bob", 2)), ms))
		require.Equal(t, []domain.DesiredPermission{
			{Identity: "alice#default", UserID: "alice", Role: events.RoleHost}, {Identity: "bob#default", UserID: "bob", Removed: true},
		}, c.last.Permissions)
	}
	viewer.Role = events.RoleHost
	c.lookTwice(listed(0, viewer), 40_000)
	require.Empty(t, c.last.Permissions)
}

func TestAFinalSessionKeepsItsEndAndItsRoomIsEmptied(t *testing.T) {
	c := inCall(t)
	c.lookTwice(nobody, 0)
	require.Equal(t, types{events.CallParticipantLeft, events.CallParticipantLeft, events.CallDisconnected}, c.expire(nobody, 60_000))
	for _, f := range []domain.Fact{published(0, "alice", 1, "TR_1"), joined(0, "bob", 2), joined(1, "bob", 105)} {
		require.Empty(t, c.hear(f))
		require.True(t, c.last.DeleteRoom)
		require.Len(t, c.last.Permissions, 1)
		require.True(t, c.last.Permissions[0].Removed)
	}
	require.Subset(t, []string{"alice#default", "bob#default"}, c.mapping.MayBeInside())
}

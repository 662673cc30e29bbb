package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

var (
	nobody   = domain.Listing{}
	lostLate = 30_000 // ms after which a window is over
)

func timeout(r int, user string, n, ms int) domain.Fact {
	return left(r, user, n, ms, events.LeaveConnectionTimeout)
}

// inCall is a call with alice and bob in it.
func inCall(t *testing.T) *call {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), joined(0, "bob", 2))
	c.log = nil
	return c
}

// TestSequences are the sequences of events that lost connections make. The sessions service has
// the same table: each is one that its state machine takes.
func TestSequences(t *testing.T) {
	cases := map[string]struct {
		happen func(c *call)
		want   types
		reason string
	}{
		"one is lost and comes back": {func(c *call) { c.hear(timeout(0, "alice", 1, 5000), joined(0, "alice", 6)) },
			types{events.CallParticipantReconnecting, events.CallParticipantReconnected}, ""},
		"one is lost for good, the other goes on": {func(c *call) { c.hear(timeout(0, "alice", 1, 5000)); c.expire(listed(0, active("bob", 2)), lostLate) },
			types{events.CallParticipantReconnecting, events.CallParticipantLeft}, ""},
		"all are lost, one comes back": {func(c *call) { c.hear(timeout(0, "alice", 1, 5000), timeout(0, "bob", 2, 6000), joined(0, "bob", 8)) },
			types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantReconnected, events.CallReconnected}, ""},
		"all are lost, and the room goes before their time is over": {func(c *call) {
			c.hear(timeout(0, "alice", 1, 5000), timeout(0, "bob", 2, 6000), finished(0, 26_000))
			c.expire(nobody, lostLate)
		}, types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantLeft,
			events.CallParticipantLeft, events.CallDisconnected}, "reconnect_timeout"},
		"all are lost, and the room goes afterwards": {func(c *call) {
			c.hear(timeout(0, "alice", 1, 5000), timeout(0, "bob", 2, 6000))
			c.expire(listed(0), lostLate)
			c.hear(finished(0, 60_000))
		}, types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantLeft,
			events.CallParticipantLeft, events.CallDisconnected}, "reconnect_timeout"},
		"all are lost for good, and one joins anew": {func(c *call) {
			c.hear(timeout(0, "alice", 1, 5000), timeout(0, "bob", 2, 6000))
			c.expire(listed(0), lostLate)
			c.hear(joined(0, "bob", 50))
		}, types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantLeft,
			events.CallParticipantLeft, events.CallParticipantJoined, events.CallReconnected}, ""},
		"lost alice, then bob hangs up": {func(c *call) {
			c.hear(timeout(0, "alice", 1, 5000), left(0, "bob", 2, 6000, events.LeaveClientInitiated), finished(0, 26_000))
			c.expire(nobody, lostLate)
		}, types{events.CallParticipantReconnecting, events.CallParticipantLeft, events.CallReconnecting, events.CallParticipantLeft, events.CallDisconnected}, "completed"},
		"in the same second bob hangs up, then alice is lost": {func(c *call) {
			c.hear(left(0, "bob", 2, 6000, events.LeaveClientInitiated), timeout(0, "alice", 1, 6000), finished(0, 26_000))
			c.expire(nobody, lostLate)
		}, types{events.CallParticipantLeft, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantLeft, events.CallDisconnected}, "reconnect_timeout"},
		"in the same second alice is lost, then bob hangs up": {func(c *call) {
			c.hear(timeout(0, "alice", 1, 6000), left(0, "bob", 2, 6000, events.LeaveClientInitiated), finished(0, 26_000))
			c.expire(nobody, lostLate)
		}, types{events.CallParticipantReconnecting, events.CallParticipantLeft, events.CallReconnecting, events.CallParticipantLeft, events.CallDisconnected}, "completed"},
		"lost, back, and hung up": {func(c *call) {
			c.hear(left(0, "bob", 2, 3000, events.LeaveClientInitiated), timeout(0, "alice", 1, 6000), joined(0, "alice", 8),
				left(0, "alice", 8, 9000, events.LeaveClientInitiated), finished(0, 20_000))
		}, types{events.CallParticipantLeft, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantReconnected, events.CallReconnected,
			events.CallParticipantLeft, events.CallDisconnected}, "completed"},
		"the server is killed and all come back": {func(c *call) { c.hear(started(1), joined(1, "alice", 101), joined(1, "bob", 102)) },
			types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantReconnected,
				events.CallReconnected, events.CallParticipantReconnected}, ""},
		"the server is killed and nobody comes back": {func(c *call) { c.lookTwice(nobody, 0); c.expire(nobody, 2*lostLate) },
			types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantLeft,
				events.CallParticipantLeft, events.CallDisconnected}, "provider_failure"},
		"nobody is seen to leave before the room goes": {func(c *call) { c.hear(finished(0, 26_000)); c.expire(nobody, lostLate) },
			types{events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantLeft,
				events.CallParticipantLeft, events.CallDisconnected}, "completed"},
		"the session ends in between": {func(c *call) {
			c.hear(timeout(0, "alice", 1, 5000))
			c.mapping, _ = c.mapping.Finalize(9)
			c.hear(timeout(0, "bob", 2, 7000), joined(0, "alice", 8), finished(0, 9000))
		}, types{events.CallParticipantReconnecting, events.CallParticipantLeft, events.CallParticipantLeft, events.CallDisconnected}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := inCall(t)
			tc.happen(c)
			var said types
			ids := map[string]bool{}
			for _, e := range c.log {
				said = append(said, e.Payload.EventType())
				require.False(t, ids[e.ID], "an id is given once")
				ids[e.ID] = true
			}
			require.Equal(t, tc.want, said)
			if tc.reason != "" {
				require.Equal(t, tc.reason, reasonOf(t, c.log[len(c.log)-1]))
			}
			s := &shadow{connecting: true, connected: true, present: map[string]string{"alice#default": "present", "bob#default": "present"},
				removed: map[string]bool{}, tracks: map[string]bool{}, ids: map[string]bool{}}
			for _, e := range c.log {
				if tc.want[0] == events.CallParticipantReconnecting && e.Payload.EventType() == events.CallParticipantLeft && name == "the session ends in between" {
					s.final = true
				}
				s.see(t, e)
			}
		})
	}
}

func TestAWindowIsOverWhenTheProviderSaysSo(t *testing.T) {
	c := inCall(t)
	c.hear(timeout(0, "alice", 1, 5000))
	require.Empty(t, c.expire(nobody, lostLate-2001), "not yet")
	next, open := c.mapping.NextCheckAt()
	require.True(t, open)
	require.Equal(t, at(999_999+lostLate).Add(-domain.ConfirmDelay), next, "so that the second answer comes at the deadline")
	coming := domain.Listed{Connection: conn("alice", 6), State: domain.Connecting}
	require.Empty(t, c.expire(listed(0, coming, active("bob", 2)), lostLate), "on her way in")
	c.answers = map[string]domain.Answer{"alice#default": {Kind: domain.Found, Found: active("alice", 1)}}
	require.Empty(t, c.expire(listed(0, active("alice", 1), active("bob", 2)), lostLate), "the node still has what was told to be over")
	c.answers = nil
	require.Equal(t, types{events.CallParticipantReconnected}, c.expire(listed(0, active("alice", 6), active("bob", 2)), lostLate),
		"she is there, and nobody had told of it")
	_, open = c.mapping.NextCheckAt()
	require.False(t, open)
	c.hear(timeout(0, "alice", 6, 9000))
	require.Equal(t, types{events.CallParticipantLeft}, c.expire(listed(0, active("bob", 2)), lostLate))
	left, ok := c.log[len(c.log)-1].Payload.(events.CallParticipantLeftPayload)
	require.True(t, ok)
	require.Equal(t, events.LeaveReconnectTimeout, left.Reason)
	require.Equal(t, at(9000), left.LeftAt.Time, "when she was lost")
}

func TestTheDeadlineIsToldByTheClockThatKeepsIt(t *testing.T) {
	c := inCall(t)
	c.hear(timeout(0, "alice", 1, 5000), timeout(0, "bob", 2, 6000))
	deadline := events.At(now.Now.Add(30 * time.Second))
	require.Equal(t, deadline, c.log[0].Payload.(events.CallParticipantReconnectingPayload).Deadline)
	require.Equal(t, events.LeaveConnectionTimeout, c.log[0].Payload.(events.CallParticipantReconnectingPayload).Reason)
	require.Equal(t, deadline, c.log[2].Payload.(events.CallReconnectingPayload).Deadline)
}

func TestWhatIsToldLateOfAnAbsence(t *testing.T) {
	cases := map[string]struct {
		late events.LeaveReason
		said types
		end  string
	}{
		"on purpose":   {events.LeaveClientInitiated, types{events.CallParticipantLeft, events.CallReconnecting}, "completed"},
		"lost":         {events.LeaveSignalClose, types{}, "reconnect_timeout"},
		"replaced":     {events.LeaveMigration, types{}, "completed"},
		"nothing told": {"", types{}, "completed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := inCall(t)
			c.hear(left(0, "bob", 2, 3000, events.LeaveClientInitiated))
			require.Equal(t, types{events.CallParticipantReconnecting, events.CallReconnecting}, c.lookTwice(listed(0), 0))
			require.Equal(t, events.LeaveUnknown, c.log[1].Payload.(events.CallParticipantReconnectingPayload).Reason)
			if tc.late != "" {
				want := tc.said
				if len(want) > 1 {
					want = want[:1]
				}
				require.Equal(t, want, c.hear(left(0, "alice", 1, 8000, tc.late)))
				require.Empty(t, c.hear(left(0, "alice", 1, 8000, tc.late)))
			}
			c.hear(finished(0, 40_000))
			c.expire(nobody, 2*lostLate)
			require.Equal(t, tc.end, reasonOf(t, c.log[len(c.log)-1]))
		})
	}
}

func TestARoomToldLateStillShowsWhoWasInIt(t *testing.T) {
	c := newCall(t)
	require.Equal(t, types{events.CallConnecting}, c.hear(started(0), finished(0, 9000)))
	require.Equal(t, types{events.CallConnected, events.CallParticipantJoined, events.CallParticipantReconnecting, events.CallReconnecting}, c.hear(joined(0, "alice", 1)))
	require.Equal(t, types{events.CallParticipantLeft, events.CallDisconnected}, c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated)))
	require.Empty(t, c.hear(joined(0, "bob", 2), left(0, "bob", 2, 3000, events.LeaveClientInitiated)), "the call is over")
	require.False(t, c.last.DeleteRoom)
}

func TestARoomMadeAgainWaitsForWhoWasInTheOneBefore(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), joined(0, "bob", 2), published(0, "alice", 1, "TR_1"))
	require.Equal(t, types{events.CallTrackUnpublished, events.CallParticipantReconnecting, events.CallParticipantReconnecting, events.CallReconnecting},
		c.hear(started(1)), "a server that was killed says nothing of who was there")
	require.Equal(t, types{events.CallParticipantReconnected, events.CallReconnected}, c.hear(joined(1, "alice", 101)))
	require.Empty(t, c.hear(finished(0, 105_000), left(0, "bob", 2, 5000, events.LeaveClientInitiated)), "what comes of the old room is late")
	require.Equal(t, types{events.CallParticipantLeft, events.CallReconnecting}, c.hear(left(1, "alice", 101, 110_000, events.LeaveClientInitiated)))
	require.Empty(t, c.hear(finished(1, 120_000)), "bob is waited for")
	require.Equal(t, types{events.CallParticipantLeft, events.CallDisconnected}, c.expire(nobody, lostLate))
	require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]), "alice was the last, and left in order")
}

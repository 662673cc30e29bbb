package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// connecting is on the way into the room, or was when its node went.
func connecting(user string, n int) domain.Listed {
	return domain.Listed{Connection: conn(user, n), State: domain.Connecting}
}

var gone = domain.Answer{Kind: domain.NoResponse}

func TestAStaleEntryOnItsWayInKeepsNoGracePeriodOpen(t *testing.T) {
	c := inCall(t)
	c.hear(left(0, "alice", 1, 5000, events.LeaveDuplicateIdentity))
	stale := listed(0, connecting("alice", 6), active("bob", 2))
	require.Empty(t, c.expire(stale, lostLate), "not found proves nothing while she is listed")
	c.answer("alice", gone)
	require.Equal(t, types{events.CallParticipantLeft}, c.expire(stale, lostLate+5000))
}

func TestAStaleEntryOnItsWayInKeepsNobodyPresent(t *testing.T) {
	c := inCall(t)
	stale := listed(0, active("alice", 1), connecting("bob", 6))
	c.silent = map[string]bool{"bob#default": true}
	c.found("bob", 2)
	require.Empty(t, c.lookTwice(stale, 0))
	c.answer("bob", gone)
	require.Equal(t, types{events.CallParticipantReconnecting}, c.lookTwice(stale, 10_000))
	require.Equal(t, types{events.CallParticipantLeft}, c.expire(stale, 60_000))
}

func TestAPhoneThatIsGoneKeepsNoRoomOpen(t *testing.T) {
	const phone = "+4930123"
	c := inCall(t)
	c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated), left(0, "bob", 2, 6000, events.LeaveClientInitiated))
	room := listed(0, outsider(phone, domain.Phone))
	c.answers = map[string]domain.Answer{phone: {Kind: domain.Found, Found: outsider(phone, domain.Phone)}}
	for ms := 0; ms < 600_000; ms += 15_000 {
		c.look(room, ms, domain.Missing{}, false)
		require.False(t, c.mapping.Over())
	}
	c.answers[phone] = gone
	c.look(room, 600_000, domain.Missing{}, false)
	c.look(room, 630_000, domain.Missing{}, false)
	require.True(t, c.mapping.Over())
}

func TestAMemberWhoCameUnseenKeepsTheCall(t *testing.T) {
	c := inCall(t)
	c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated))
	require.Equal(t, types{events.CallParticipantReconnecting, events.CallReconnecting}, c.lookTwice(nobody, 0))
	c.found("alice", 9)
	require.Equal(t, types{events.CallParticipantJoined, events.CallReconnected, events.CallParticipantLeft}, c.expire(nobody, 60_000),
		"alice, whose join was lost, answers, and bob is gone")
	require.False(t, c.mapping.Over())
}

func TestWithoutAnAnswerOfAllMembersTheCallIsNotEnded(t *testing.T) {
	c := inCall(t)
	c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated))
	c.lookTwice(nobody, 0)
	c.answer("alice", domain.Answer{})
	require.Empty(t, c.expire(nobody, 60_000))
	require.Equal(t, []string{"alice#default"}, c.last.Ask)
	c.answers = nil
	require.Equal(t, types{events.CallParticipantLeft, events.CallDisconnected}, c.expire(nobody, 70_000))
}

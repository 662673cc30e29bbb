//go:build integration

package truth

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// The second connections of tokens, in TestLies.

// joinsBeside has a second connection of a token join beside its own, and publish: it is removed,
// if it gets in at all.
func (c *call) joinsBeside(token callplane.Token) {
	c.Helper()
	token.URL = caller.SecondConnection(token.URL, "ghost")
	if second, err := c.stack.TryJoin(c, token); err == nil {
		require.Equal(c, token.Identity+"#ghost", second.Identity())
		_ = second.TryPublish(c) // It may be out before.
		c.isPutOut(second)
	}
	await(c, func(context.Context) error {
		removals := c.stack.RoomService.Calls(c.room, removeParticipant)
		if !slices.ContainsFunc(removals, func(rc stack.RoomCall) bool { return rc.Identity == token.Identity+"#ghost" }) {
			return fmt.Errorf("the bridge has not removed it: %v", removals)
		}
		return nil
	})
}

// isPutOut waits until LiveKit has removed a participant.
func (c *call) isPutOut(p *caller.Process) {
	c.Helper()
	require.Equal(c, "PARTICIPANT_REMOVED", p.Gone(c))
}

// secondConnection has a token join a second time: the second connection is removed, and never
// shown.
func secondConnection(c *call) {
	people := c.join(alice)
	token := c.stack.Token(c, c.id, bob)
	people = append(people, c.stack.Speak(c, token))
	c.sees("call.track.published bob")
	c.joinsBeside(token)
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	c.hears(people[0])
	c.hangUpInTurn(opens(alice, bob), people[0], people[1], alice, bob)
}

// secondConnectionUntold is secondConnection without a webhook about it.
func secondConnectionUntold(c *call) {
	people := c.join(alice)
	token := c.stack.Token(c, c.id, bob)
	people = append(people, c.stack.Speak(c, token))
	c.sees("call.track.published bob")
	c.loses(token.Identity + "#ghost")
	c.joinsBeside(token)
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	c.hangUpInTurn(opens(alice, bob), people[0], people[1], alice, bob)
}

// secondConnectionOfViewer joins with the token of a participant who has become a viewer since.
func secondConnectionOfViewer(c *call) {
	people := c.join(alice)
	token := c.stack.Token(c, c.id, bob)
	people = append(people, c.stack.Speak(c, token))
	c.sees("call.track.published bob")
	_, err := c.stack.API.As(alice).SetMember(c.Context(), c.id, callplane.Member{UserID: bob, Role: "viewer"})
	require.NoError(c, err)
	c.cannotPublish(token.Identity)
	c.joinsBeside(token)
	told := then(opens(alice, bob), happens("call.member.updated bob", "call.track.unpublished bob"))
	c.is("active", shown(alice, "present", bob, "present"), told)
	people[0].Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isGone(bob, "client_initiated"), isOver()))
}

// secondConnectionOfRemoved joins with the token of a member who was removed since.
func secondConnectionOfRemoved(c *call) {
	people := c.join(alice)
	token := c.stack.Token(c, c.id, bob)
	b := c.stack.Speak(c, token)
	c.sees("call.track.published bob")
	require.NoError(c, c.stack.API.As(alice).RemoveMember(c.Context(), c.id, bob))
	c.isPutOut(b)
	c.joinsBeside(token)
	told := then(opens(alice, bob), happens("call.member.removed bob"), leaves(bob, "participant_removed"))
	c.is("active", shown(alice, "present", bob, "left"), told)
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

// activation is how long a session of TestStrangers waits for its first participant.
const activation = 30 * time.Second

// TestStrangers has participants in calls that have no token of Callplane's.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s := start(t, func() *stack.Stack {
		s := stack.Prepare(t, testkit.Rabbit(t), quick(12*time.Second, map[string]string{"ROOM_EMPTY_TIMEOUT": "10s"}))
		s.SetSessions(t, map[string]string{"ACTIVATION_TIMEOUT": activation.String()})
		return s
	})
	for name, scenario := range map[string]func(*call){
		"a phone comes first": phoneComesFirst,
		"a phone stays":       phoneStays,
		"a bot stays":         func(c *call) { staysAlone(c, stranger{identity: "bot"}) },
		"an agent stays":      func(c *call) { staysAlone(c, stranger{identity: "agent", kind: livekit.ParticipantInfo_AGENT}) },
		"a recorder stays":    func(c *call) { staysAlone(c, stranger{identity: "recorder", hidden: true}) },
		"a bot is alone":      botAlone,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(newCall(t, s))
		})
	}
}

// stranger is a participant whose token was made with LiveKit's secret.
type stranger struct {
	identity string
	kind     livekit.ParticipantInfo_Kind
	hidden   bool
}

// joinsAs has a stranger join the call's room.
func (c *call) joinsAs(who stranger) *caller.Process {
	c.Helper()
	token, err := auth.NewAccessToken(c.stack.LiveKit.APIKey, c.stack.LiveKit.APISecret).SetKind(who.kind).SetIdentity(who.identity).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: c.room, Hidden: who.hidden, Recorder: who.hidden}).SetValidFor(time.Hour).ToJWT()
	require.NoError(c, err)
	p, err := c.stack.TryJoin(c, callplane.Token{URL: c.stack.LiveKit.WSURL, Token: token})
	require.NoError(c, err)
	return p
}

var phone = stranger{identity: "sip_+4930123456", kind: livekit.ParticipantInfo_SIP}

// phoneComesFirst has a phone wait for members for longer than the session waits for its
// activation.
func phoneComesFirst(c *call) {
	p := c.joinsAs(phone)
	c.lasts(2 * activation)
	c.is("created", shown(), happens("call.created", "call.connecting"))
	require.False(c, p.Over(), "the phone is cut off")
	people := c.join(alice)
	c.is("active", shown(alice, "present"), opens(alice))
	people[0].Leave(c)
	told := then(opens(alice), hangsUp(alice))
	c.is("active", shown(alice, "left"), told)
	_, err := c.stack.API.As(alice).Update(c.Context(), c.id, "", map[string]any{"status": "ended"})
	require.NoError(c, err)
	require.Equal(c, "ROOM_DELETED", p.Gone(c))
	require.Equal(c, "ended", c.isFinal(alice).Status)
}

// phoneStays has a phone stay after the last member: it keeps the call open until it hangs up.
func phoneStays(c *call) {
	people := c.join(alice)
	p := c.joinsAs(phone)
	people[0].Leave(c)
	told := then(opens(alice), hangsUp(alice))
	c.lasts(30 * time.Second)
	c.is("active", shown(alice, "left"), told)
	require.False(c, p.Over(), "the phone is cut off")
	p.Leave(c)
	c.ends("ended", shown(alice, "left"), then(told, isOver()))
}

// staysAlone has a stranger stay after the last member that keeps no call open: the call ends.
func staysAlone(c *call, who stranger) {
	people := c.join(alice)
	p := c.joinsAs(who)
	people[0].Leave(c)
	p.Gone(c)
	c.ends("ended", shown(alice, "left"), then(opens(alice), hangsUp(alice), isOver()))
}

// botAlone has a bot join a call that no member ever joins: its room does not stay open for the
// bot.
func botAlone(c *call) {
	p := c.joinsAs(stranger{identity: "bot"})
	require.Equal(c, "ROOM_DELETED", p.Gone(c))
	c.ends("failed", shown(), happens("call.created", "call.connecting", "call.failed activation_timeout"))
}

//go:build integration

package truth

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// isMissed is somebody of whose leaving no webhook told, and who did not come back.
func isMissed(user string) story { return then(isLost(user, "unknown"), isGone(user, "unknown")) }

// receiverAway has webhooks fail for so long that LiveKit gives up those of everybody who comes and goes meanwhile. Listings tell all but
// the reasons, and when the receiver is back all is as ever.
func receiverAway(c *call, fate stack.Fate) {
	people := c.join(alice, bob)
	c.stack.Webhooks.Treat(c.room, stack.Always(fate))
	began := time.Now()
	people[1].Leave(c)
	told := then(opens(alice, bob), isMissed(bob))
	c.is("active", shown(alice, "present", bob, "left"), told)
	third := c.join(carol)[0]
	told = then(told, speaks(carol))
	since(c, began, 45*time.Second)
	require.NotZero(c, c.webhooks(fate, "track_unpublished", people[1].Identity()))
	c.stack.Webhooks.Treat(c.room, stack.Always(stack.Pass))
	c.is("active", shown(alice, "present", bob, "left", carol, "present"), told)

	// When LiveKit tells of what happens now, it has told or forgotten all that was before.
	again := c.join(bob)[0]
	c.tells(2, stack.Pass, "track_published", again.Identity())
	told = then(told, speaks(bob))
	c.is("active", shown(alice, "present", bob, "present", carol, "present"), told)
	for _, p := range []*caller.Process{people[0], third, again} {
		left := c.webhooks(stack.Pass, "participant_left", p.Identity())
		p.Leave(c)
		c.tells(left+1, stack.Pass, "participant_left", p.Identity())
	}
	c.ends("ended", shown(alice, "left", bob, "left", carol, "left"), then(told, hangsUp(alice), hangsUp(carol), hangsUp(bob), isOver()))
}

// noWebhook has the whole call told by listings.
func noWebhook(c *call) {
	c.stack.Webhooks.Treat(c.room, stack.Always(stack.Cut))
	people := c.join(alice, bob)
	people[1].Leave(c)
	told := then(opens(alice, bob), isMissed(bob))
	c.is("active", shown(alice, "present", bob, "left"), told)
	people[0].Leave(c)
	told = then(told, isLost(alice, "unknown"), happens("call.reconnecting"))
	c.is("reconnecting", shown(alice, "reconnecting", bob, "left"), told)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, isGone(alice, "unknown"), isOver()))
	require.Zero(c, c.count(c.stack.BridgeDB, `SELECT count(*) FROM webhook_receipts WHERE room_name = 'call-' || $1`))
}

// leftoverToken has somebody come with a token of a session that is over: the room is deleted again, and nobody is shown, whether LiveKit
// tells of it or not.
func leftoverToken(c *call) {
	token := c.stack.Token(c, c.id, alice)
	first := c.stack.Speak(c, token)
	c.sees("call.track.published alice")
	_, err := c.stack.API.As(alice).Update(c.Context(), c.id, "", map[string]any{"status": "ended"})
	require.NoError(c, err)
	require.Equal(c, "ROOM_DELETED", first.Gone(c))
	told := then(opens(alice), happens("call.updated", "call.ended completed"), leaves(alice, "room_deleted"), happens("call.disconnected completed"))
	c.ends("ended", shown(alice, "left"), told)

	c.comeAgain(token, "ROOM_DELETED")
	c.tells(2, stack.Pass, "room_started", "")
	c.tells(2, stack.Pass, "room_finished", "")
	c.ends("ended", shown(alice, "left"), told)

	c.stack.Webhooks.Treat(c.room, stack.Always(stack.Lose))
	c.comeAgain(token, "ROOM_DELETED")
	c.tells(1, stack.Lose, "room_finished", "")
	c.ends("ended", shown(alice, "left"), told)
}

// comeAgain has somebody join who must not: they are put out, or don't even get in.
func (c *call) comeAgain(token callplane.Token, reason string) {
	c.Helper()
	again, err := c.stack.TryJoin(c, token)
	if err == nil {
		require.Equal(c, reason, again.Gone(c))
	}
}

// memberRemoved has a member removed who has a token left: they are put out, and again as often as they come back, whether LiveKit tells
// of it or not.
func memberRemoved(c *call) {
	people := c.join(alice)
	token := c.stack.Token(c, c.id, bob)
	b := c.stack.Speak(c, token)
	c.sees("call.track.published bob")
	require.NoError(c, c.stack.API.As(alice).RemoveMember(c.Context(), c.id, bob))
	require.Equal(c, "PARTICIPANT_REMOVED", b.Gone(c))
	told := then(opens(alice, bob), happens("call.member.removed bob"), leaves(bob, "participant_removed"))
	c.is("active", shown(alice, "present", bob, "left"), told)

	c.comeAgain(token, "PARTICIPANT_REMOVED")
	c.tells(2, stack.Pass, "participant_left", b.Identity())
	c.is("active", shown(alice, "present", bob, "left"), told)

	c.stack.Webhooks.Treat(c.room, func(w stack.Webhook) stack.Fate {
		if w.Identity == b.Identity() {
			return stack.Lose
		}
		return stack.Pass
	})
	c.comeAgain(token, "PARTICIPANT_REMOVED")
	c.tells(1, stack.Lose, "participant_left", b.Identity())
	c.is("active", shown(alice, "present", bob, "left"), told)
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

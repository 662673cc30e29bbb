//go:build integration

package truth

import (
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// TestPeople has all that may happen to people in a call, while the servers are well: each in a call of its own, side by side on one stack.
func TestPeople(t *testing.T) {
	t.Parallel()
	s := usual(t, stack.WithWebhookProxy(), quick(15*time.Second, nil))
	for name, scenario := range map[string]func(*call){
		"clean":                                  clean,
		"rejoin":                                 rejoin,
		"killed":                                 killed,
		"killed with nobody else there":          killedAlone,
		"killed and back before it is noticed":   killedAndBack,
		"frozen for 3 s":                         frozenBriefly,
		"frozen for 25 s":                        frozen,
		"frozen for 25 s with nobody else there": frozenAlone,
		"the same identity twice":                twice,
		"removed from the room":                  removedFromRoom,
		"a member removed, who comes back":       memberRemoved,
		"the room deleted":                       roomDeleted,
		"a leftover token":                       leftoverToken,
		"migrated":                               migrated,
		"nobody ever joins":                      nobodyJoins,
		"webhooks answered 500 for 45 s":         func(c *call) { receiverAway(c, stack.Refuse) },
		"webhooks cut off for 45 s":              func(c *call) { receiverAway(c, stack.Cut) },
		"no webhook ever":                        noWebhook,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(newCall(t, s))
		})
	}
}

// clean has two hang up, one after the other.
func clean(c *call) {
	people := c.join(alice, bob)
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	people[1].Leave(c)
	c.is("active", shown(alice, "present", bob, "left"), then(opens(alice, bob), hangsUp(bob)))
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(opens(alice, bob), hangsUp(bob), hangsUp(alice), isOver()))
}

// rejoin has somebody hang up and come again, and then everybody hang up and one come again while the room is still there.
func rejoin(c *call) {
	people := c.join(alice, bob)
	people[1].Leave(c)
	c.sees("call.participant.left bob client_initiated")
	again := c.stack.JoinApart(c, c.id, bob)
	require.Equal(c, people[1].Identity(), again.Identity())
	told := then(opens(alice, bob), hangsUp(bob), speaks(bob))
	c.is("active", shown(alice, "present", bob, "present"), told)
	token := c.stack.Token(c, c.id, alice)
	again.Leave(c)
	c.seesTimes(2, "call.participant.left bob client_initiated")
	people[0].Leave(c)
	c.sees("call.participant.left alice client_initiated") // Who comes before that has never left.
	last := c.stack.Speak(c, token)
	told = then(told, hangsUp(bob), hangsUp(alice), speaks(alice))
	c.is("active", shown(alice, "present", bob, "left"), told)
	last.Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

// killed has somebody's client die: they are waited for when LiveKit tells, and have left when their time is over. The other goes on.
func killed(c *call) {
	people := c.join(alice, bob)
	people[0].Kill(c)
	told := then(opens(alice, bob), isLost(alice, "connection_timeout"))
	c.is("active", shown(alice, "reconnecting", bob, "present"), told)
	told = then(told, isGone(alice, "reconnect_timeout"))
	c.is("active", shown(alice, "left", bob, "present"), told)
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(bob), isOver()))
}

// killedAlone has the last one's client die: the call is waited for with them, and has failed when their time is over.
func killedAlone(c *call) {
	people := c.join(alice, bob)
	people[1].Leave(c)
	c.sees("call.participant.left bob client_initiated")
	people[0].Kill(c)
	told := then(opens(alice, bob), hangsUp(bob), isLost(alice, "connection_timeout"), happens("call.reconnecting"))
	c.is("reconnecting", shown(alice, "reconnecting", bob, "left"), told)
	c.ends("failed", shown(alice, "left", bob, "left"), then(told, isGone(alice, "reconnect_timeout"), fails("reconnect_timeout")))
}

// killedAndBack has a client die and the same person come again before LiveKit has noticed: they never left.
func killedAndBack(c *call) {
	people := c.join(alice, bob)
	people[0].Kill(c)
	again := c.stack.JoinApart(c, c.id, alice)
	told := then(opens(alice, bob), changesConnection(alice))
	c.is("active", shown(alice, "present", bob, "present"), told)
	again.Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), hangsUp(bob), isOver()))
}

// frozenBriefly has a client stand still for a moment. Nobody hears of it.
func frozenBriefly(c *call) {
	people := c.join(alice, bob)
	people[0].Freeze(c)
	since(c, time.Now(), 3*time.Second)
	people[0].Thaw(c)
	c.hears(people[1])
	c.hears(people[0])
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	people[0].Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(opens(alice, bob), hangsUp(alice), hangsUp(bob), isOver()))
}

// frozen has a client stand still for so long that LiveKit gives it up, and then find back by itself.
func frozen(c *call) {
	people := c.join(alice, bob)
	people[0].Freeze(c)
	began := time.Now()
	told := then(opens(alice, bob), isLost(alice, "connection_timeout"))
	c.is("active", shown(alice, "reconnecting", bob, "present"), told)
	since(c, began, 25*time.Second)
	people[0].Thaw(c)
	told = then(told, isBack(alice))
	c.is("active", shown(alice, "present", bob, "present"), told)
	c.hears(people[1])
	people[0].Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), hangsUp(bob), isOver()))
}

// frozenAlone is frozen with nobody else in the call, which is waited for as a whole.
func frozenAlone(c *call) {
	people := c.join(alice)
	people[0].Freeze(c)
	began := time.Now()
	told := then(opens(alice), isLost(alice, "connection_timeout"), happens("call.reconnecting"))
	c.is("reconnecting", shown(alice, "reconnecting"), told)
	since(c, began, 25*time.Second)
	people[0].Thaw(c)
	// Open: LiveKit may tell of the track before the join that it belongs to, and it is then shown with that, before the call is back.
	told = then(told, happens("call.participant.reconnected alice"), sideBySide(happens("call.reconnected"), happens("call.track.published alice")))
	c.is("active", shown(alice, "present"), told)
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left"), then(told, hangsUp(alice), isOver()))
}

// twice has the same identity join twice: the second client takes over from the first, and nobody has left.
func twice(c *call) {
	people := c.join(alice, bob)
	second := c.stack.JoinApart(c, c.id, alice)
	require.Equal(c, "DUPLICATE_IDENTITY", people[0].Gone(c))
	told := then(opens(alice, bob), changesConnection(alice))
	c.is("active", shown(alice, "present", bob, "present"), told)
	second.Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), hangsUp(bob), isOver()))
}

// removedFromRoom has somebody put out at LiveKit itself.
func removedFromRoom(c *call) {
	people := c.join(alice, bob)
	c.remove(people[1].Identity())
	require.Equal(c, "PARTICIPANT_REMOVED", people[1].Gone(c))
	told := then(opens(alice, bob), leaves(bob, "participant_removed"))
	c.is("active", shown(alice, "present", bob, "left"), told)
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

// roomDeleted has the room deleted at LiveKit itself, with everybody in it.
func roomDeleted(c *call) {
	people := c.join(alice, bob)
	_, err := c.stack.Rooms.DeleteRoom(c.Context(), &livekit.DeleteRoomRequest{Room: c.room})
	require.NoError(c, err)
	for _, p := range people {
		require.Equal(c, "ROOM_DELETED", p.Gone(c))
	}
	// Open: who of the two goes first.
	c.ends("ended", shown(alice, "left", bob, "left"),
		then(opens(alice, bob), sideBySide(leaves(alice, "room_deleted"), leaves(bob, "room_deleted")), isOver()))
}

// migrated has LiveKit move a client to another node: nobody has left.
func migrated(c *call) {
	people := c.join(alice, bob)
	people[0].Migrate(c)
	told := then(opens(alice, bob), changesConnection(alice))
	c.is("active", shown(alice, "present", bob, "present"), told)
	c.hears(people[1])
	people[0].Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), hangsUp(bob), isOver()))
}

// nobodyJoins has tokens given that nobody uses.
func nobodyJoins(c *call) {
	_ = c.stack.Token(c, c.id, alice)
	_ = c.stack.Token(c, c.id, bob)
	_, err := c.stack.API.As(alice).Update(c.Context(), c.id, "", map[string]any{"status": "ended"})
	require.NoError(c, err)
	c.ends("ended", shown(), happens("call.created", "call.updated", "call.ended cancelled"))
	_, err = c.stack.API.As(bob).Token(c.Context(), c.id, callplane.TokenRequest{})
	var problem *callplane.Problem
	require.ErrorAs(c, err, &problem)
	require.Equal(c, "session_final", problem.Code)
}

//go:build integration

package truth

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
	"github.com/stretchr/testify/require"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// The scenarios of TestLies in which LiveKit's listings lack who is there, or show who isn't.

// unlistedFor is longer than a grace period and the looks before and after it.
const unlistedFor = 30 * time.Second

// quietUnlisted leaves a participant out of the listings who gives no sign of life. LiveKit is
// asked for them, and they stay.
func quietUnlisted(c *call) {
	people := c.join(alice, bob)
	c.lies(stack.Lying(stack.Lie{Without: []string{people[0].Identity()}}, listParticipants))
	c.lasts(unlistedFor)
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	c.honest()
	c.hangUpInTurn(opens(alice, bob), people[0], people[1], alice, bob)
}

// streamingUnlisted leaves a participant out who publishes again and again, and whom LiveKit does
// not find on being asked: each webhook is evidence of their presence, and they never have left.
func streamingUnlisted(c *call) {
	people := c.join(alice)
	c.lies(allOf(stack.Lying(stack.Lie{Without: []string{people[0].Identity()}}, listParticipants), fail(twirp.NotFound, updateParticipant)))
	for began := time.Now(); time.Since(began) < unlistedFor; c.lasts(3 * time.Second) {
		people[0].Publish(c)
	}
	c.honest()
	people[0].Publish(c)
	c.shows("active", shown(alice, "present"))
	c.hasNot("call.participant.left")
	people[0].Leave(c)
	require.Equal(c, "ended", c.isFinal(alice).Status)
}

// givenUp has a participant neither be listed nor found until they have left. Listed again, they
// are shown again.
func givenUp(c *call) {
	people := c.join(alice, bob)
	identity := people[0].Identity()
	c.lies(allOf(stack.Lying(stack.Lie{Without: []string{identity}}, listParticipants), func(rc stack.RoomCall) stack.Lie {
		if rc.Identity != identity {
			return stack.Lie{}
		}
		return stack.Lie{Fails: twirp.NotFound}
	}))
	told := then(opens(alice, bob), isMissed(alice))
	c.is("active", shown(alice, "left", bob, "present"), told)
	c.honest()
	told = then(told, speaks(alice))
	c.is("active", shown(alice, "present", bob, "present"), told)
	c.hangUpInTurn(told, people[0], people[1], alice, bob)
}

// roomUnlisted leaves a room out of the listings, and its deletion does not find it: the call goes
// on, and a participant who joins meanwhile stays.
func roomUnlisted(c *call) {
	people := c.join(alice, bob)
	c.lies(unlisted())
	c.lasts(unlistedFor / 2)
	people = append(people, c.join(carol)...)
	c.lasts(unlistedFor)
	told := then(opens(alice, bob), speaks(carol))
	c.is("active", shown(alice, "present", bob, "present", carol, "present"), told)
	c.hears(people[0])
	c.honest()
	people[2].Leave(c)
	c.sees("call.participant.left carol client_initiated")
	people[0].Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left", carol, "left"), then(told, hangsUp(carol), hangsUp(alice), hangsUp(bob), isOver()))
}

// endedUnlisted ends a session whose room is not listed, nor found by its deletion. The webhooks of
// participants who go on publishing are evidence that they are in it: they are put out.
func endedUnlisted(c *call) {
	people := c.join(alice, bob)
	c.lies(unlisted())
	c.lasts(5 * time.Second)
	_, err := c.stack.API.As(alice).Update(c.Context(), c.id, "", map[string]any{"status": "ended"})
	require.NoError(c, err)
	for _, p := range people {
		for began := time.Now(); !p.Over() && time.Since(began) < 2*unlistedFor; c.lasts(3 * time.Second) {
			_ = p.TryPublish(c) // They may be out before.
		}
		require.Contains(c, []string{"ROOM_DELETED", "PARTICIPANT_REMOVED"}, p.Gone(c))
	}
	require.Equal(c, "ended", c.isFinal(alice, bob).Status)
}

// callGivenUp has a call neither be listed nor found in any way until it is over. It stays over,
// and the participants who turn out to be in its room are put out.
func callGivenUp(c *call) {
	people := c.join(alice, bob)
	c.lies(allOf(stack.Lying(stack.Lie{Unlisted: true}, listRooms), fail(twirp.NotFound, deleteRoom, updateParticipant, removeParticipant),
		stack.Lying(stack.Lie{Without: []string{people[0].Identity(), people[1].Identity()}}, listParticipants)))
	await(c, func(ctx context.Context) error {
		session, err := c.stack.API.As(alice).Get(ctx, c.id)
		if err == nil && session.EndedAt == nil {
			err = fmt.Errorf("the session is %s", session.Status)
		}
		return err
	})
	c.honest()
	for _, p := range people {
		require.Contains(c, []string{"ROOM_DELETED", "PARTICIPANT_REMOVED"}, p.Gone(c))
	}
	c.isFinal(alice, bob)
	c.once("call.participant.joined alice", "call.participant.joined bob")
}

// once holds the log to have lines exactly once.
func (c *call) once(lines ...string) {
	c.Helper()
	log := c.now()
	for _, line := range lines {
		require.Len(c, slices.DeleteFunc(slices.Clone(log), func(other string) bool { return other != line }), 1, line)
	}
}

// clockGoesBack has a lost participant come back by a connection that is older than the lost one by
// LiveKit's clock.
func clockGoesBack(c *call) {
	people := c.join(alice, bob)
	people[0].Kill(c)
	told := then(opens(alice, bob), isLost(alice, "connection_timeout"))
	c.is("active", shown(alice, "reconnecting", bob, "present"), told)
	c.lies(stack.Lying(stack.Lie{Shift: -2 * time.Minute}, listParticipants))
	c.loses(people[0].Identity())
	again := c.stack.JoinApart(c, c.id, alice)
	told = then(told, isBack(alice))
	c.is("active", shown(alice, "present", bob, "present"), told)
	c.honest()
	c.stack.Webhooks.Treat(c.room, stack.Always(stack.Pass))
	c.lasts(5 * time.Second)
	c.is("active", shown(alice, "present", bob, "present"), told)
	c.hangUpInTurn(told, again, people[1], alice, bob)
}

// finishedGoesOn reports the room to be finished in the grace period of a participant, and started
// again with the same sid, with the participant in it.
func finishedGoesOn(c *call) {
	people := c.join(alice, bob)
	room := c.roomInfo()
	there, err := c.listed(c.Context())
	require.NoError(c, err)
	c.loses(people[1].Identity(), webhook.EventParticipantLeft, webhook.EventTrackUnpublished)
	c.lies(unlisted())
	lost := there[people[1].Identity()]
	lost.DisconnectReason = livekit.DisconnectReason_CONNECTION_TIMEOUT
	c.tell(&livekit.WebhookEvent{Event: webhook.EventParticipantLeft, Room: room, Participant: lost})
	people[0].Leave(c)
	told := then(opens(alice, bob), isLost(bob, "connection_timeout"), hangsUp(alice), happens("call.reconnecting"))
	c.is("reconnecting", shown(alice, "left", bob, "reconnecting"), told)
	c.tell(&livekit.WebhookEvent{Event: webhook.EventRoomFinished, Room: room})
	c.tell(&livekit.WebhookEvent{Event: webhook.EventRoomStarted, Room: room})
	c.honest()
	again := c.stack.JoinApart(c, c.id, bob)
	told = then(told, happens("call.participant.reconnected bob"),
		sideBySide(happens("call.reconnected"), happens("call.track.published bob")))
	c.is("active", shown(alice, "left", bob, "present"), told)
	c.lasts(unlistedFor / 2)
	c.is("active", shown(alice, "left", bob, "present"), told)
	c.stack.Webhooks.Treat(c.room, stack.Always(stack.Pass))
	again.Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(bob), isOver()))
}

// deadListed has a participant stay listed whose client is dead and whose end no webhook reports,
// as LiveKit does with Redis. LiveKit is asked for them after some time without a sign of life, and
// no node answers.
func deadListed(c *call) {
	people := c.join(alice, bob)
	identity := people[1].Identity()
	c.bridgeHasListed(people...) // A stale listing shows both of them from now on.
	c.lies(allOf(stack.Lying(stack.Lie{Stale: true}, listRooms, listParticipants), func(rc stack.RoomCall) stack.Lie {
		if rc.Identity != identity {
			return stack.Lie{}
		}
		return stack.NoResponse()
	}))
	c.loses(identity)
	people[1].Kill(c)
	told := then(opens(alice, bob), isLost(bob, "unknown"), isGone(bob, "reconnect_timeout"))
	c.is("active", shown(alice, "present", bob, "left"), told)
	c.lasts(5 * time.Second)
	c.is("active", shown(alice, "present", bob, "left"), told)
	c.honest()
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

// goneListed has a participant stay listed whose leaving a webhook has reported: they have left.
func goneListed(c *call) {
	people := c.join(alice, bob)
	c.bridgeHasListed(people...)
	c.lies(stack.Lying(stack.Lie{Stale: true}, listRooms, listParticipants))
	people[1].Leave(c)
	told := then(opens(alice, bob), hangsUp(bob))
	c.is("active", shown(alice, "present", bob, "left"), told)
	c.lasts(unlistedFor / 2)
	c.is("active", shown(alice, "present", bob, "left"), told)
	c.honest()
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

// bridgeHasListed waits until LiveKit has answered the bridge a listing with all of these people.
func (c *call) bridgeHasListed(people ...*caller.Process) {
	c.Helper()
	await(c, func(context.Context) error {
		listed := c.stack.RoomService.Listed(c.room)
		for _, person := range people {
			if !slices.Contains(listed, person.Identity()) {
				return fmt.Errorf("the bridge was answered a listing of %v, without %s", listed, person.Identity())
			}
		}
		return nil
	})
}

// roomInfo is the room as LiveKit itself lists it.
func (c *call) roomInfo() *livekit.Room {
	c.Helper()
	answer, err := c.stack.Rooms.ListRooms(c.Context(), &livekit.ListRoomsRequest{Names: []string{c.room}})
	require.NoError(c, err)
	require.Len(c, answer.GetRooms(), 1)
	return answer.GetRooms()[0]
}

// tell sends the bridge a webhook of the test's own.
func (c *call) tell(event *livekit.WebhookEvent) {
	c.Helper()
	event.Id, event.CreatedAt = "EV_"+uuid.NewString(), time.Now().Unix()
	body, err := protojson.Marshal(event)
	require.NoError(c, err)
	answer := c.stack.Webhook(c, body)
	require.Equal(c, http.StatusOK, answer.Status, string(answer.Body))
}

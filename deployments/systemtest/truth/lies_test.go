//go:build integration

package truth

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// The methods of RoomService that the bridge uses.
const (
	listRooms         = "ListRooms"
	listParticipants  = "ListParticipants"
	updateParticipant = "UpdateParticipant"
	removeParticipant = "RemoveParticipant"
	deleteRoom        = "DeleteRoom"
)

// TestLies has LiveKit's answers be wrong about one call each, side by side on one stack. A wrong
// answer about one call must not harm another.
func TestLies(t *testing.T) {
	t.Parallel()
	s := usual(t, stack.WithWebhookProxy(), stack.WithRoomServiceProxy(), quick(12*time.Second, map[string]string{"LIVENESS_TIMEOUT": "20s"}))
	for name, scenario := range map[string]func(*call){
		"a room cannot be listed":                        roomInError,
		"a page of rooms cannot be listed":               pageInError,
		"a room is listed slowly":                        roomIsSlow,
		"a removal is not found":                         removalNotFound,
		"a role is not found":                            roleNotFound,
		"a quiet participant is not listed":              quietUnlisted,
		"a streaming participant is not listed":          streamingUnlisted,
		"a participant is given up and was there":        givenUp,
		"a room is not listed":                           roomUnlisted,
		"a room is not listed when its session is ended": endedUnlisted,
		"a call is given up and was there":               callGivenUp,
		"the clock goes back":                            clockGoesBack,
		"a room cannot be deleted":                       undeletable,
		"a finished room goes on":                        finishedGoesOn,
		"a dead participant is listed":                   deadListed,
		"a participant is listed after leaving":          goneListed,
		"a second connection of a token":                 secondConnection,
		"a second connection without webhooks":           secondConnectionUntold,
		"a second connection of a viewer":                secondConnectionOfViewer,
		"a second connection of a removed member":        secondConnectionOfRemoved,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(newCall(t, s))
		})
	}
}

// lies falsifies the answers about the call's room from now on.
func (c *call) lies(decide func(stack.RoomCall) stack.Lie) { c.stack.RoomService.Treat(c.room, decide) }

// honest ends lies.
func (c *call) honest() { c.lies(stack.Honest) }

// allOf joins decisions: the first lie that one of them has about a request is the answer.
func allOf(decisions ...func(stack.RoomCall) stack.Lie) func(stack.RoomCall) stack.Lie {
	return func(rc stack.RoomCall) stack.Lie {
		for _, decide := range decisions {
			if lie := decide(rc); lie.Fails != "" || lie.Unlisted || lie.Stale || len(lie.Without) > 0 {
				return lie
			}
		}
		return stack.Lie{}
	}
}

// fail answers an error to methods.
func fail(code twirp.ErrorCode, methods ...string) func(stack.RoomCall) stack.Lie {
	return stack.Lying(stack.Lie{Fails: code}, methods...)
}

// unlisted leaves the room out of the listings of rooms, and its deletion does not find it.
func unlisted() func(stack.RoomCall) stack.Lie {
	return allOf(stack.Lying(stack.Lie{Unlisted: true}, listRooms), fail(twirp.NotFound, deleteRoom))
}

// first restricts a decision that answers errors to the first requests that it applies to.
func first(times int64, decide func(stack.RoomCall) stack.Lie) func(stack.RoomCall) stack.Lie {
	var made atomic.Int64
	return func(rc stack.RoomCall) stack.Lie {
		lie := decide(rc)
		if lie.Fails != "" && made.Add(1) > times {
			return stack.Lie{}
		}
		return lie
	}
}

// lasts waits for so long.
func (c *call) lasts(d time.Duration) {
	c.Helper()
	since(c, time.Now(), d)
}

// loses drops all webhooks about an identity, or only those of some events.
func (c *call) loses(identity string, events ...string) {
	c.stack.Webhooks.Treat(c.room, func(w stack.Webhook) stack.Fate {
		if w.Identity == identity && (len(events) == 0 || slices.Contains(events, w.Event)) {
			return stack.Lose
		}
		return stack.Pass
	})
}

// listed returns the participants that LiveKit itself lists, by identity.
func (c *call) listed(ctx context.Context) (map[string]*livekit.ParticipantInfo, error) {
	answer, err := c.stack.Rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: c.room})
	if err != nil {
		return nil, fmt.Errorf("asking LiveKit for participants: %w", err)
	}
	all := map[string]*livekit.ParticipantInfo{}
	for _, p := range answer.GetParticipants() {
		all[p.GetIdentity()] = p
	}
	return all, nil
}

// isFinal waits until the session is over, whatever its log, its room is gone and its participants
// have left.
func (c *call) isFinal(left ...string) callplane.Session {
	c.Helper()
	var session callplane.Session
	await(c, func(ctx context.Context) error {
		var err error
		if session, err = c.stack.API.As(alice).Get(ctx, c.id); err == nil && session.EndedAt == nil {
			lines, _ := c.lines(ctx)
			err = fmt.Errorf("the session is %s: %q", session.Status, lines)
		}
		return err
	})
	c.noRoom()
	await(c, func(ctx context.Context) error {
		now, err := c.stack.API.As(alice).Get(ctx, c.id)
		if err != nil {
			return err
		}
		for _, p := range now.Participants {
			if p.Status != "left" || !slices.Contains(left, p.UserID) {
				return fmt.Errorf("%s is %s", p.UserID, p.Status)
			}
		}
		if now.Status != session.Status {
			c.Fatalf("the session was %s and is %s", session.Status, now.Status)
		}
		return nil
	})
	return session
}

// hangUpInTurn has two participants leave one after the other, and holds the session to its end.
func (c *call) hangUpInTurn(told story, one, other *caller.Process, users ...string) {
	c.Helper()
	one.Leave(c)
	c.sees("call.participant.left " + users[0] + " client_initiated")
	other.Leave(c)
	left := map[string]string{}
	for _, user := range users {
		left[user] = "left"
	}
	// Open: on a busy machine, two listings may lack a participant before the webhook comes that
	// reports the leaving.
	c.ends("ended", left, then(told, wentMeanwhile(users[0], nil), wentMeanwhile(users[1], happens("call.reconnecting")), isOver()))
}

// roomInError has the listing of one room fail. Another call, of which webhooks get lost, is
// compared all the same, and the first one when its room is listed again.
func roomInError(c *call) { healthyBesides(c, fail(twirp.Unavailable, listParticipants)) }

// pageInError is roomInError where every listing of rooms fails that names this one.
func pageInError(c *call) { healthyBesides(c, fail(twirp.Internal, listRooms)) }

func healthyBesides(c *call, lie func(stack.RoomCall) stack.Lie) {
	other := newCall(c.T, c.stack)
	people, others := c.join(alice, bob), other.join(alice, bob)
	c.lies(lie)
	for one, bobs := range map[*call]*caller.Process{c: people[1], other: others[1]} {
		one.loses(bobs.Identity())
		bobs.Leave(c)
	}
	told := then(opens(alice, bob), isMissed(bob))
	other.is("active", shown(alice, "present", bob, "left"), told)
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	c.honest()
	c.is("active", shown(alice, "present", bob, "left"), told)
	people[0].Leave(c)
	others[0].Leave(c)
	for _, one := range []*call{c, other} {
		one.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
	}
}

// roomIsSlow has the listing of a room take long, though not longer than the bridge waits for it.
func roomIsSlow(c *call) {
	people := c.join(alice, bob)
	c.lies(stack.Lying(stack.Lie{Late: time.Second}, listParticipants))
	c.loses(people[1].Identity())
	people[1].Leave(c)
	told := then(opens(alice, bob), isMissed(bob))
	c.is("active", shown(alice, "present", bob, "left"), told)
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

// removalNotFound has LiveKit not find a participant who is to be removed, while it lists them.
func removalNotFound(c *call) {
	people := c.join(alice, bob)
	c.lies(first(2, fail(twirp.NotFound, removeParticipant)))
	require.NoError(c, c.stack.API.As(alice).RemoveMember(c.Context(), c.id, bob))
	require.Equal(c, "PARTICIPANT_REMOVED", people[1].Gone(c))
	told := then(opens(alice, bob), happens("call.member.removed bob"), leaves(bob, "participant_removed"))
	c.is("active", shown(alice, "present", bob, "left"), told)
	people[0].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isOver()))
}

// roleNotFound is removalNotFound for a change of the role.
func roleNotFound(c *call) {
	people := c.join(alice, bob)
	asked := fail(twirp.NotFound, updateParticipant)
	c.lies(first(2, func(rc stack.RoomCall) stack.Lie {
		if update, ok := rc.Request.(*livekit.UpdateParticipantRequest); ok && update.GetPermission() == nil {
			return stack.Lie{} // It changes nothing, so the bridge only asks.
		}
		return asked(rc)
	}))
	_, err := c.stack.API.As(alice).SetMember(c.Context(), c.id, callplane.Member{UserID: bob, Role: "viewer"})
	require.NoError(c, err)
	c.cannotPublish(people[1].Identity())
	told := then(opens(alice, bob), happens("call.member.updated bob", "call.track.unpublished bob"))
	c.is("active", shown(alice, "present", bob, "present"), told)
	people[0].Leave(c)
	c.sees("call.participant.left alice client_initiated")
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(alice), isGone(bob, "client_initiated"), isOver()))
}

// cannotPublish waits until LiveKit lists a participant without the right to publish.
func (c *call) cannotPublish(identity string) {
	c.Helper()
	await(c, func(ctx context.Context) error {
		there, err := c.listed(ctx)
		if err == nil && (there[identity] == nil || there[identity].GetPermission().GetCanPublish()) {
			err = fmt.Errorf("%s may publish, or isn't there: %v", identity, there)
		}
		return err
	})
}

// undeletable has a room that LiveKit can't delete: the attempts become rarer, however often the
// bridge sees the room. Rooms of other calls are deleted.
func undeletable(c *call) {
	const watched, attempts = 40 * time.Second, 10
	people := c.join(alice)
	c.lies(fail(twirp.Unknown, deleteRoom))
	end := func(one *call) {
		_, err := c.stack.API.As(alice).Update(c.Context(), one.id, "", map[string]any{"status": "ended"})
		require.NoError(c, err)
	}
	end(c)
	began := time.Now()
	other := newCall(c.T, c.stack)
	others := other.join(alice)
	end(other)
	require.Equal(c, "ROOM_DELETED", others[0].Gone(c))
	since(c, began, watched)
	calls := c.stack.RoomService.Calls(c.room, deleteRoom)
	require.Less(c, len(calls), attempts)
	require.Greater(c, len(calls), 2)
	for n := range len(calls) - 1 {
		pause := calls[n+1].At.Sub(calls[n].At)
		require.GreaterOrEqual(c, pause, time.Second<<n, "attempt %d comes too soon: the pauses double", n+2)
	}
	c.honest()
	people[0].Gone(c) // Removed from the room, or with it.
	c.isFinal(alice)
	other.isFinal(alice)
}

//go:build integration

package truth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// TestTheServer has LiveKit stand still, and then be killed. Calls are compared with it because it is back, not because it is time to.
func TestTheServer(t *testing.T) {
	t.Parallel()
	s := usual(t, quick(30*time.Second, map[string]string{"RECONCILE_INTERVAL": "10m"}))
	t.Run("stands still", func(t *testing.T) { serverStandsStill(t, s) })
	t.Run("is killed", func(t *testing.T) { serverKilled(t, s) })
}

// serverStandsStill has a session ended while LiveKit answers nobody: its room is deleted when it does again, however often that has
// failed before, and only then has everybody left.
func serverStandsStill(t *testing.T, s *stack.Stack) {
	c := newCall(t, s)
	people := c.join(alice, bob)
	s.LiveKit.Pause(t)
	_, err := s.API.As(alice).Update(t.Context(), c.id, "", map[string]any{"status": "ended"})
	require.NoError(t, err)
	await(t, func(context.Context) error {
		if c.count(s.BridgeDB, `SELECT coalesce(sum(attempts), 0) FROM room_deletions WHERE room_name = 'call-' || $1`) < 1 {
			return errors.New("nobody has tried to delete the room")
		}
		return nil
	})
	told := then(opens(alice, bob), happens("call.updated", "call.ended completed"))
	c.is("ended", shown(alice, "present", bob, "present"), told)
	s.LiveKit.Unpause(t)
	for _, p := range people {
		require.Equal(t, "ROOM_DELETED", p.Gone(t))
	}
	// Open: who of the two goes first. On a slow machine a client tries to come back while nobody answers, and does, with its token, to a room
	// of the same name that LiveKit makes for it; this one's end, on which everybody is out, can be told before who left the first.
	out := func(user string) story { return either(leaves(user, "room_deleted"), leaves(user, "room_closed")) }
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, sideBySide(out(alice), out(bob)), happens("call.disconnected completed")))
}

// serverKilled has LiveKit killed with calls in it, and started again: nobody tells who was there. Who comes back has never left; a call to
// which nobody comes back was lost by the provider.
func serverKilled(t *testing.T, s *stack.Stack) {
	back, lost := newCall(t, s), newCall(t, s)
	people, alone := back.join(alice, bob), lost.join(alice)
	s.LiveKit.Kill(t)
	alone[0].Kill(t)
	await(t, func(ctx context.Context) error {
		_, degraded, err := s.Readiness(ctx, s.Bridge)
		if err == nil && len(degraded) == 0 {
			err = errors.New("the bridge has not noticed")
		}
		return err
	})
	back.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	lost.is("active", shown(alice, "present"), opens(alice))
	s.LiveKit.Start(t)

	toldLost := then(opens(alice), isLost(alice, "unknown"), happens("call.reconnecting"))
	lost.is("reconnecting", shown(alice, "reconnecting"), toldLost)
	// Open: who is back first, and whether LiveKit tells of their track before the join that it belongs to.
	toldBack := then(opens(alice, bob), isLost(alice, "unknown"), isLost(bob, "unknown"), happens("call.reconnecting"),
		either(backTogether(alice, bob), backTogether(bob, alice)))
	back.is("active", shown(alice, "present", bob, "present"), toldBack)
	back.hears(people[0])
	back.hears(people[1])
	people[0].Leave(t)
	back.sees("call.participant.left alice client_initiated")
	people[1].Leave(t)
	back.ends("ended", shown(alice, "left", bob, "left"), then(toldBack, hangsUp(alice), hangsUp(bob), isOver()))
	lost.ends("failed", shown(alice, "left"), then(toldLost, isGone(alice, "reconnect_timeout"), fails("provider_failure")))
}

// backTogether has a call come back with whoever is back first.
func backTogether(first, second string) story {
	rest := sideBySide(happens("call.track.published "+first), isBack(second))
	return then(happens("call.participant.reconnected "+first), either(
		then(happens("call.reconnected"), rest),
		then(happens("call.track.published "+first, "call.reconnected"), isBack(second)),
	))
}

// TestTheBridgeIsKilled kills the bridge while somebody is waited for, in several calls, and lets people come and go while it is away.
func TestTheBridgeIsKilled(t *testing.T) {
	t.Parallel()
	s := usual(t, stack.WithWebhookProxy(), quick(25*time.Second, nil))
	gone, back, others, last := newCall(t, s), newCall(t, s), newCall(t, s), newCall(t, s)
	goners, backers, first, only := gone.join(alice, bob), back.join(alice, bob), others.join(alice, bob), last.join(alice)
	backAgain, third := s.Token(t, back.id, alice), s.Token(t, others.id, carol)
	goners[0].Kill(t)
	backers[0].Kill(t)
	toldLost := then(opens(alice, bob), isLost(alice, "connection_timeout"))
	gone.is("active", shown(alice, "reconnecting", bob, "present"), toldLost)
	back.is("active", shown(alice, "reconnecting", bob, "present"), toldLost)

	s.Bridge.Kill(t)
	first[1].Leave(t)
	again, carols := s.Speak(t, backAgain), s.Speak(t, third)
	only[0].Leave(t)
	s.Bridge.Start(t)

	back.is("active", shown(alice, "present", bob, "present"), then(toldLost, isBack(alice)))
	// Open: whether LiveKit's webhook comes again before two listings have missed who left, and who is seen first of who came and went.
	toldOthers := then(opens(alice, bob), sideBySide(wentMeanwhile(bob, nil), speaks(carol)))
	others.is("active", shown(alice, "present", bob, "left", carol, "present"), toldOthers)
	last.ends("ended", shown(alice, "left"), then(opens(alice), wentMeanwhile(alice, happens("call.reconnecting")), isOver()))
	gone.is("active", shown(alice, "left", bob, "present"), then(toldLost, isGone(alice, "reconnect_timeout")))

	for _, leaving := range []struct {
		*call

		first, then *caller.Process
	}{{back, again, backers[1]}, {others, first[0], carols}} {
		leaving.first.Leave(t)
		leaving.sees("call.participant.left alice client_initiated")
		leaving.then.Leave(t)
	}
	goners[1].Leave(t)
	back.ends("ended", shown(alice, "left", bob, "left"), then(toldLost, isBack(alice), hangsUp(alice), hangsUp(bob), isOver()))
	others.ends("ended", shown(alice, "left", bob, "left", carol, "left"), then(toldOthers, hangsUp(alice), hangsUp(carol), isOver()))
	gone.ends("ended", shown(alice, "left", bob, "left"), then(toldLost, isGone(alice, "reconnect_timeout"), hangsUp(bob), isOver()))
}

// wentMeanwhile is somebody who hung up while nobody listened: told by a webhook that came again, or missed first. Where they were the last,
// the call is waited for with them.
func wentMeanwhile(user string, waits story) story {
	missed := isLost(user, "unknown")
	if waits != nil {
		missed = then(missed, waits)
	}
	return either(hangsUp(user), then(missed, either(isGone(user, "client_initiated"), isGone(user, "unknown"))))
}

// TestTheBrokerIsAway kills RabbitMQ and lets people come and go meanwhile: all of it is told, in order, when it is back.
func TestTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	s := start(t, func() *stack.Stack { return stack.Prepare(t, testkit.OwnRabbit(t), quick(15*time.Second, nil)) })
	c := newCall(t, s)
	people := c.join(alice, bob)
	third, again := s.Token(t, c.id, carol), s.Token(t, c.id, bob)
	s.Vhost.Broker.Kill(t)
	for _, p := range []*stack.Process{s.Sessions, s.Bridge} {
		await(t, func(ctx context.Context) error {
			_, degraded, err := s.Readiness(ctx, p)
			if err == nil && len(degraded) == 0 {
				err = errors.New("it is not degraded")
			}
			return err
		})
	}
	people[1].Leave(t)
	made := []string{"call.track.unpublished", "call.participant.left"}
	c.awaitMade(made)
	carols := s.Speak(t, third)
	made = append(made, "call.participant.joined", "call.track.published")
	c.awaitMade(made)
	bobs := s.Speak(t, again)
	made = append(made, "call.participant.joined", "call.track.published")
	c.awaitMade(made)
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	s.Vhost.Broker.Start(t)
	s.AwaitReady(t)
	told := then(opens(alice, bob), hangsUp(bob), speaks(carol), speaks(bob))
	c.is("active", shown(alice, "present", bob, "present", carol, "present"), told)
	people[0].Leave(t)
	c.sees("call.participant.left alice client_initiated")
	carols.Leave(t)
	c.sees("call.participant.left carol client_initiated")
	bobs.Leave(t)
	c.ends("ended", shown(alice, "left", bob, "left", carol, "left"),
		then(told, hangsUp(alice), hangsUp(carol), hangsUp(bob), isOver()))
}

// awaitMade waits until these are the types of the events that the bridge has made and can't publish.
func (c *call) awaitMade(types []string) {
	c.Helper()
	await(c, func(context.Context) error {
		made := c.texts(c.stack.BridgeDB, `SELECT routing_key FROM outbox WHERE partition_key = $1 AND published_at IS NULL ORDER BY id`)
		if !slices.Equal(made, types) {
			return fmt.Errorf("the bridge has made %v and can't publish it, not %v", made, types)
		}
		return nil
	})
}

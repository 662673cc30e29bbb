//go:build integration

package truth

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// TestNobodyLooks has calls of which LiveKit can't tell all, on a bridge that compares nothing by
// itself: what must not be missed is asked for before anything is final.
func TestNobodyLooks(t *testing.T) {
	t.Parallel()
	s := start(t, func() *stack.Stack {
		s := stack.Prepare(t, testkit.Rabbit(t), stack.WithWebhookProxy(), stack.WithRoomServiceProxy(),
			quick(15*time.Second, map[string]string{"RECONCILE_INTERVAL": "0"}))
		s.SetSessions(t, map[string]string{"ACTIVATION_TIMEOUT": "35s"})
		return s
	})
	for name, scenario := range map[string]func(*call){
		"back, and nobody tells":   backUntold,
		"joined, and nobody tells": joinedUntold,
		"nobody joins in time":     nobodyInTime,
		"a connection is aborted":  aborted,
		"a track comes alone":      trackAlone,
		"a finished room goes on":  finishedGoesOn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(newCall(t, s))
		})
	}
}

// backUntold has a participant return without a webhook while their grace period runs: the bridge
// sees them at its end, and the call goes on.
func backUntold(c *call) {
	people := c.join(alice)
	people[0].Kill(c)
	told := then(opens(alice), isLost(alice, "connection_timeout"), happens("call.reconnecting"))
	c.is("reconnecting", shown(alice, "reconnecting"), told)
	c.stack.Webhooks.Treat(c.room, func(w stack.Webhook) stack.Fate {
		if w.Event == "participant_joined" {
			return stack.Lose
		}
		return stack.Pass
	})
	again := c.stack.JoinApart(c, c.id, alice)
	c.tells(1, stack.Lose, "participant_joined", again.Identity())
	c.tells(2, stack.Pass, "track_published", again.Identity())
	// Open: whether the call or the track is told of first.
	told = then(told, happens("call.participant.reconnected alice"), sideBySide(happens("call.track.published alice"), happens("call.reconnected")))
	c.is("active", shown(alice, "present"), told)
	again.Leave(c)
	c.ends("ended", shown(alice, "left"), then(told, hangsUp(alice), isOver()))
}

// joinedUntold has a participant join without a webhook while the activation timeout of the session
// runs: the session waits. The webhook of their leaving shows that they were there.
func joinedUntold(c *call) {
	c.stack.Webhooks.Treat(c.room, stack.Always(stack.Lose))
	a := c.stack.JoinApart(c, c.id, alice)
	c.tells(1, stack.Lose, "track_published", a.Identity())
	await(c, func(context.Context) error {
		if c.count(c.stack.SessionsDB, `SELECT activation_claims FROM sessions WHERE id::text = $1`) == 0 {
			return errors.New("it is not late yet")
		}
		return nil
	})
	c.stack.Webhooks.Treat(c.room, stack.Always(stack.Pass))
	c.is("created", shown(), happens("call.created"))
	a.Leave(c)
	c.ends("ended", shown(alice, "left"), then(happens("call.created", "call.connecting", "call.connected alice", "call.participant.joined alice"),
		isGone(alice, "client_initiated"), isOver()))
}

// aborted has the connection of a participant end, and the only webhook about it is the one for a
// connection that was never established.
func aborted(c *call) {
	people := c.join(alice, bob)
	there, err := c.listed(c.Context())
	require.NoError(c, err)
	c.loses(people[0].Identity())
	people[0].Kill(c)
	ended := there[people[0].Identity()]
	ended.DisconnectReason = livekit.DisconnectReason_CONNECTION_TIMEOUT
	c.tell(&livekit.WebhookEvent{Event: webhook.EventParticipantConnectionAborted, Room: c.roomInfo(), Participant: ended})
	told := then(opens(alice, bob), isLost(alice, "connection_timeout"))
	c.is("active", shown(alice, "reconnecting", bob, "present"), told)
	told = then(told, isGone(alice, "reconnect_timeout"))
	c.is("active", shown(alice, "left", bob, "present"), told)
	people[1].Leave(c)
	c.ends("ended", shown(alice, "left", bob, "left"), then(told, hangsUp(bob), isOver()))
}

// trackAlone has somebody join of whom only the track is told: they are looked for, and shown.
func trackAlone(c *call) {
	people := c.join(alice)
	token := c.stack.Token(c, c.id, bob)
	c.loses(token.Identity, webhook.EventParticipantJoined)
	people = append(people, c.stack.Speak(c, token))
	told := then(opens(alice), speaks(bob))
	c.is("active", shown(alice, "present", bob, "present"), told)
	c.hangUpInTurn(told, people[1], people[0], bob, alice)
}

// nobodyInTime has tokens given that nobody uses.
func nobodyInTime(c *call) {
	_ = c.stack.Token(c, c.id, alice)
	_ = c.stack.Token(c, c.id, bob)
	c.ends("failed", shown(), happens("call.created", "call.failed activation_timeout"))
	require.Zero(c, c.count(c.stack.BridgeDB, `SELECT count(*) FROM mappings WHERE session_id::text = $1 AND NOT final`), "it is forgotten in time")
}

//go:build integration

package truth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// TestRedis kills a LiveKit that keeps its rooms in Redis, with calls in it. Back again, it lists
// all participants as before, also those whose clients are dead.
func TestRedis(t *testing.T) {
	t.Parallel()
	s := usual(t, stack.WithRedis(), quick(10*time.Second, map[string]string{"LIVENESS_TIMEOUT": "20s"}))
	dead, half := newCall(t, s), newCall(t, s)
	goners, people := dead.join(alice, bob), half.join(alice, bob)
	s.LiveKit.Kill(t)
	goners[0].Kill(t)
	goners[1].Kill(t)
	people[1].Kill(t)
	s.LiveKit.Start(t)

	// Open: how the log shows alice, whose client reconnects by itself.
	half.shows("active", shown(alice, "present", bob, "left"))
	half.hasNot("call.participant.left alice")
	dead.isFinal(alice, bob)
	half.lasts(unlistedFor / 2)
	half.shows("active", shown(alice, "present", bob, "left"))
	require.False(t, people[0].Over())
	people[0].Leave(t)
	require.Equal(t, "ended", half.isFinal(alice, bob).Status)
}

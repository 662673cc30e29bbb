//go:build integration

package truth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// TestRedis kills a LiveKit that keeps its rooms in Redis, with calls in it: when it is back it lists everybody who was there, whether they
// live or not.
func TestRedis(t *testing.T) {
	t.Parallel()
	s := usual(t, stack.WithRedis(), quick(10*time.Second, map[string]string{"LIVENESS_TIMEOUT": "20s"}))
	dead, half := newCall(t, s), newCall(t, s)
	nobody, people := dead.join(alice, bob), half.join(alice, bob)
	s.LiveKit.Kill(t)
	nobody[0].Kill(t)
	nobody[1].Kill(t)
	people[1].Kill(t)
	s.LiveKit.Start(t)

	// Open: what is told of alice, whose client comes back by itself, and when.
	half.shows("active", shown(alice, "present", bob, "left"))
	half.hasNot("call.participant.left alice")
	dead.isFinal(alice, bob)
	half.lasts(unlistedFor / 2)
	half.shows("active", shown(alice, "present", bob, "left"))
	require.False(t, people[0].Over())
	people[0].Leave(t)
	require.Equal(t, "ended", half.isFinal(alice, bob).Status)
}

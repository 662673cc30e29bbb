//go:build integration

package truth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// TestRefusals has LiveKit refuse the bridge's key, and show another clock, while a call goes on
// that it does not list. Its grace period is so short that as many pass as otherwise in ten
// minutes.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := usual(t, stack.WithWebhookProxy(), stack.WithRoomServiceProxy(), quick(2*time.Second, map[string]string{"RECONCILE_INTERVAL": "1s"}))
	t.Run("a long quiet call is not listed", func(t *testing.T) {
		t.Parallel()
		longUnlisted(newCall(t, s))
	})
	t.Run("the key and the clock", func(t *testing.T) {
		t.Parallel()
		refused(t, s)
		otherClock(t, s)
	})
}

// longUnlisted has a quiet call go on unlisted for twenty grace periods.
func longUnlisted(c *call) {
	people := c.join(alice, bob)
	identities := []string{people[0].Identity(), people[1].Identity()}
	c.lies(allOf(unlisted(), stack.Lying(stack.Lie{Without: identities}, listParticipants)))
	c.lasts(40 * time.Second)
	c.is("active", shown(alice, "present", bob, "present"), opens(alice, bob))
	c.hears(people[0])
	c.honest()
	c.hangUpInTurn(opens(alice, bob), people[0], people[1], alice, bob)
}

// refused has LiveKit answer that the key is wrong: the bridge reports a refusal, and not an
// absence.
func refused(t *testing.T, s *stack.Stack) {
	t.Helper()
	before := len(s.Bridge.Log())
	s.RoomService.TreatOthers(stack.Lying(stack.Lie{Fails: twirp.Unauthenticated}))
	await(t, func(ctx context.Context) error {
		status, degraded, err := s.Readiness(ctx, s.Bridge)
		if err == nil && (status != 200 || !slices.Equal(degraded, []string{media})) {
			err = fmt.Errorf("it answers %d and is degraded by %v", status, degraded)
		}
		return err
	})
	logs(t, s, before, "refuses")
	log := s.Bridge.Log()[before:]
	require.NotContains(t, log, "LiveKit can't be reached")
	require.NotContains(t, log, "does not answer")
	s.RoomService.TreatOthers(stack.Honest)
	s.AwaitReady(t)
}

// otherClock has LiveKit's clock be wrong by more than tokens allow.
func otherClock(t *testing.T, s *stack.Stack) {
	t.Helper()
	before := len(s.Bridge.Log())
	s.RoomService.ShiftClock(90 * time.Second)
	logs(t, s, before, "clock")
	s.RoomService.ShiftClock(0)
}

// logs waits until the bridge has logged a text since a place in its log.
func logs(t *testing.T, s *stack.Stack, since int, text string) {
	t.Helper()
	await(t, func(context.Context) error {
		if log := s.Bridge.Log()[since:]; !strings.Contains(log, text) {
			return fmt.Errorf("the bridge's log has no %q since:\n%.4000s", text, log)
		}
		return nil
	})
}

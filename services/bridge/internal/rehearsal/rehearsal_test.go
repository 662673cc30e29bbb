package rehearsal_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/rehearsal"
)

const session = "0198a3c0-5f00-7000-8000-00000000000a"

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// TestWebhooksDecideNothing disturbs the webhooks of whole calls in every way: who was in the call,
// who is, what they publish and whether it is over comes out the same as with every webhook at its
// time.
func TestWebhooksDecideNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		script := rehearsal.Script(rt, domain.RoomName(session), start)
		told, _, want := rehearsal.Play(t, rehearsal.Admitted(t, session), script, rehearsal.Faithful(script))
		_, _, silent := rehearsal.Play(t, rehearsal.Admitted(t, session), script, nil)
		require.Equal(rt, want, silent, "without any webhook")
		_, _, got := rehearsal.Play(t, rehearsal.Admitted(t, session), script, rehearsal.Disturb(rt, script))
		require.Equal(rt, want, got)

		end := script[len(script)-1].At.Add(rehearsal.Silence)
		truth := map[string]bool{}
		for _, p := range rehearsal.Listing(script, end).Participants {
			truth[p.Identity] = true
		}
		for identity, present := range got.Present {
			require.Equal(rt, truth[identity], present, identity)
		}
		require.Equal(rt, len(truth) == 0, got.Over, "it is over when everybody has gone")
		for _, h := range script {
			if h.Fact == nil {
				continue
			}
			again, result := told.Apply(h.Fact, domain.Moment{Now: end, Policy: rehearsal.Policy})
			require.Empty(rt, result.Events, "what comes once more says nothing")
			told = again
		}
	})
}

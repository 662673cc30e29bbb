package simulation_test

import (
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/callplane/callplane/services/bridge/internal/simulation"
)

// TestEverySchedule holds the bridge to the provider's real state after any schedule of webhooks,
// listings, lies and clocks. With simulation.SchedulesDir it writes what the sessions service has
// to take.
func TestEverySchedule(t *testing.T) {
	dir := os.Getenv(simulation.SchedulesDir)
	rapid.Check(t, func(rt *rapid.T) {
		s := anySchedule(rt)
		outcome := simulation.Run(t, s)
		if len(outcome.Problems) > 0 {
			rt.Fatalf("%s\n\n%s\n%s", s, outcome.Log(), strings.Join(outcome.Problems, "\n"))
		}
		for _, call := range outcome.Calls {
			if dir == "" {
				break
			}
			if err := call.WriteJournal(dir); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

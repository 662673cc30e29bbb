package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
)

// A slow step postpones the later ones, but for the few seconds that it may be late.
func TestPaceKeepsTheLengthOfFaults(t *testing.T) {
	began := time.Now()
	first := schedule.Fault{At: time.Second, Kind: schedule.Kill, Target: schedule.Broker, Lasts: time.Second}
	second := schedule.Fault{At: 20 * time.Second, Kind: schedule.Cut, Lasts: 4 * time.Second}
	last := schedule.Fault{At: 50 * time.Second, Kind: schedule.Roll, Target: schedule.Bridge}
	steps := schedule.Steps([]schedule.Fault{first, second, last})
	require.Len(t, steps, 5)
	pace := schedule.NewPace(began, time.Minute)
	now := began
	for n, want := range []struct {
		takes, due time.Duration
		left       bool
	}{
		{takes: 0, due: time.Second},
		{takes: 40 * time.Second, due: 2 * time.Second}, // the second is 22 s late
		{takes: 0, due: 37 * time.Second},
		{takes: 0, due: 41 * time.Second},
		{due: 67 * time.Second, left: true},
	} {
		due, wanted := pace.Due(steps[n], now)
		require.Equal(t, want.due, due.Sub(began), "step %d", n)
		require.Equal(t, !want.left, wanted, "step %d", n)
		if due.After(now) {
			now = due
		}
		now = now.Add(want.takes)
	}
}

// What is left out does not end either.
func TestPaceLeavesOutWhatComesTooLate(t *testing.T) {
	began := time.Now()
	steps := schedule.Steps([]schedule.Fault{{At: 50 * time.Second, Kind: schedule.Cut, Lasts: time.Second}})
	pace := schedule.NewPace(began, time.Minute)
	for _, step := range steps {
		_, wanted := pace.Due(step, began.Add(2*time.Minute))
		require.False(t, wanted)
	}
}

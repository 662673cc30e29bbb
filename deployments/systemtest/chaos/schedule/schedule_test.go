package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
)

func TestTheSameSeedGivesTheSameSchedule(t *testing.T) {
	t.Parallel()
	targets := schedule.Everything(2)
	first := schedule.New(7, 30*time.Minute, targets)
	require.Equal(t, first, schedule.New(7, 30*time.Minute, schedule.Everything(2)))
	require.NotEqual(t, first, schedule.New(8, 30*time.Minute, targets))
	require.Greater(t, len(first), 200)
}

func TestAScheduleKeepsItsBounds(t *testing.T) {
	t.Parallel()
	const length = 10 * time.Minute
	for seed := range uint64(200) {
		faults := schedule.New(seed, length, schedule.Everything(2))
		steps := schedule.Steps(faults)
		require.True(t, slices.IsSortedFunc(steps, func(a, b schedule.Step) int { return int(a.At - b.At) }))
		require.LessOrEqual(t, steps[len(steps)-1].At, length)
		open := map[string]int{}
		for _, step := range steps {
			if step.Fault.Kind == schedule.Roll {
				continue
			}
			if step.End {
				open[step.Fault.Target]--
				continue
			}
			open[step.Fault.Target]++
			require.Equal(t, 1, open[step.Fault.Target], "two faults of %s overlap", step.Fault.Target)
		}
		for target, n := range open {
			require.Zero(t, n, "a fault of %s does not end", target)
		}
	}
}

// A service is not rolled while one of its replicas is stopped by another fault, nor is a link cut of what is killed.
func TestFaultsOfPartsDoNotOverlapThoseOfTheWhole(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		faults := schedule.New(seed, 10*time.Minute, schedule.Everything(2))
		for _, f := range faults {
			for _, g := range faults {
				whole := g.Kind == schedule.Roll && (f.Target == schedule.Replica(g.Target, 1) || f.Target == schedule.Replica(g.Target, 2))
				if whole && f.At > g.At {
					require.GreaterOrEqual(t, f.At, g.At+15*time.Second, "%s within %s", f, g)
				}
				if link := schedule.Link(schedule.Replica(schedule.Sessions, 1), schedule.Database); f.Target == link && g.Target == schedule.Database && f.At > g.At {
					require.GreaterOrEqual(t, f.At, g.At+g.Lasts, "%s within %s", f, g)
				}
			}
		}
	}
}

// Two lies at once could make up a whole that nobody can see through.
func TestLiesAreToldOneAtATime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		end := time.Duration(0)
		for _, f := range schedule.New(seed, 10*time.Minute, schedule.Everything(2)) {
			if f.Kind == schedule.Lie {
				require.GreaterOrEqual(t, f.At, end, "seed %d: %s", seed, f)
				end = f.At + f.Lasts
			}
		}
	}
}

// Also a short run has everything, and a long one everything of everything.
func TestAShortRunHasEveryKind(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		kinds := map[schedule.Kind]bool{}
		for _, f := range schedule.New(seed, 2*time.Minute, schedule.Everything(2)) {
			kinds[f.Kind] = true
		}
		require.Len(t, kinds, len(schedule.Kinds), "seed %d", seed)
	}
	type pair struct {
		kind   schedule.Kind
		target string
	}
	had := map[pair]bool{}
	for _, f := range schedule.New(1, time.Hour, schedule.Everything(2)) {
		had[pair{f.Kind, f.Target}] = true
	}
	for kind, targets := range schedule.Everything(2) {
		for _, target := range targets {
			require.True(t, had[pair{kind, target}], "an hour has no %s of %s", kind, target)
		}
	}
}

func TestOnlySomeKinds(t *testing.T) {
	t.Parallel()
	for _, f := range schedule.New(1, 5*time.Minute, schedule.Everything(2).Only(schedule.Roll)) {
		require.Equal(t, schedule.Roll, f.Kind)
	}
}

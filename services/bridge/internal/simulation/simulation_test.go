package simulation_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/simulation"
)

const minSteps, maxSteps = 10, 40

var pauses = []time.Duration{0, 300 * time.Millisecond, 2 * time.Second, 5 * time.Second, 13 * time.Second, 31 * time.Second, 62 * time.Second}

var everybody = []string{"alice", "alice's tablet", "bob", "carol", "phone", "agent", "recorder", "stranger"}

// always are the actions of every schedule, and sometimes those of which a schedule has some.
var (
	always = []simulation.Action{
		simulation.Wait, simulation.Token, simulation.Join, simulation.Join, simulation.Join, simulation.Leave, simulation.Publish, simulation.EverybodyIn,
		simulation.Begin, simulation.Begin, simulation.Honest, simulation.Prompt,
	}
	sometimes = []simulation.Action{
		simulation.JoinSlowly, simulation.Abort, simulation.Die, simulation.Migrate, simulation.Unpublish, simulation.Second, simulation.Crash,
		simulation.Clock, simulation.Lose, simulation.Hold, simulation.Repeat, simulation.RepeatAnew, simulation.Remove, simulation.Invite,
		simulation.End, simulation.Stop, simulation.Start, simulation.Presence, simulation.Delay, simulation.Outage,
	}
)

func anyStep(t *rapid.T, actions []simulation.Action, cast []string) simulation.Step {
	s := simulation.Step{Do: rapid.SampledFrom(actions).Draw(t, "do")}
	s.After = rapid.SampledFrom(pauses).Draw(t, "after")
	if s.After > 0 {
		s.After += time.Duration(rapid.IntRange(0, 1999).Draw(t, "ms")) * time.Millisecond
	}
	s.Who = rapid.SampledFrom(cast).Draw(t, "who")
	s.Call = rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1}).Draw(t, "call")
	switch s.Do {
	case simulation.Begin:
		s.Lie = rapid.SampledFrom(simulation.Lies).Draw(t, "lie")
	case simulation.Clock:
		s.By = time.Duration(rapid.IntRange(-60, 60).Draw(t, "skew")) * time.Second
	case simulation.Invite:
		s.Role = rapid.SampledFrom([]events.Role{events.RoleHost, events.RoleParticipant, events.RoleViewer}).Draw(t, "role")
		s.By = rapid.SampledFrom(pauses).Draw(t, "by")
	case simulation.Remove, simulation.End, simulation.Delay:
		s.By = rapid.SampledFrom(pauses).Draw(t, "by")
	case simulation.Repeat, simulation.RepeatAnew:
		s.Back = rapid.IntRange(0, 6).Draw(t, "back")
	default:
	}
	return s
}

func anySchedule(t *rapid.T) simulation.Schedule {
	s := simulation.Schedule{Redis: rapid.Bool().Draw(t, "redis"), Extra: rapid.IntRange(0, 1).Draw(t, "extra")}
	actions := append(slices.Clone(always), rapid.SliceOfN(rapid.SampledFrom(sometimes), 2, 8).Draw(t, "actions")...)
	cast := rapid.SampledFrom([][]string{
		{"alice"}, {"alice", "bob"}, {"alice", "bob", "carol"}, {"alice", "bob", "alice", "bob", "phone", "agent"},
		{"alice", "alice's tablet"}, everybody,
	}).Draw(t, "cast")
	if rapid.IntRange(0, 3).Draw(t, "begin") > 0 {
		for _, who := range cast {
			s.Steps = append(s.Steps, simulation.Step{Do: simulation.Token, Who: who}, simulation.Step{Do: simulation.Join, Who: who})
		}
	}
	step := rapid.Custom(func(t *rapid.T) simulation.Step { return anyStep(t, actions, cast) })
	s.Steps = append(s.Steps, rapid.SliceOfN(step, minSteps, maxSteps).Draw(t, "steps")...)
	return s
}

func TestEverySchedule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := anySchedule(rt)
		outcome := simulation.Run(t, s)
		if dir := os.Getenv(simulation.SchedulesDir); dir != "" {
			for _, call := range outcome.Calls {
				if err := call.WriteJournal(dir); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if len(outcome.Problems) > 0 {
			rt.Fatalf("%s\n\n%s\n\n%s", s, outcome.Log(), strings.Join(outcome.Problems, "\n"))
		}
	})
}

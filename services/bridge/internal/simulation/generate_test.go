package simulation_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/simulation"
)

const minSteps, maxSteps = 10, 40

// pauses are shorter and longer than what the bridge waits for: the confirmation of an absence, an
// interval, the grace period, and the time without a sign of life.
var pauses = []time.Duration{
	0, 300 * time.Millisecond, 2 * time.Second, 5 * time.Second, 13 * time.Second, 31 * time.Second, 62 * time.Second,
}

var roles = []events.Role{events.RoleHost, events.RoleParticipant, events.RoleViewer}

// casts are who is in the calls of a schedule, those more often who are named more often.
var casts = [][]string{
	{"alice"},
	{"alice", "bob"},
	{"alice", "bob", "carol"},
	{"alice", "alice's tablet"},
	{"alice", "bob", "alice", "bob", "phone", "agent"},
	{"alice", "alice's tablet", "bob", "carol", "phone", "agent", "recorder", "stranger"},
}

// Every schedule has the actions in always, and some of those in sometimes. That few kinds of
// trouble meet often finds more than that all of them meet seldom.
var (
	always = []simulation.Action{
		simulation.Wait, simulation.Token, simulation.Join, simulation.Join, simulation.Join, simulation.Leave, simulation.Publish,
		simulation.EverybodyIn, simulation.Begin, simulation.Begin, simulation.Honest, simulation.Prompt,
	}
	sometimes = []simulation.Action{
		simulation.JoinSlowly, simulation.Abort, simulation.Die, simulation.Migrate, simulation.Unpublish, simulation.Second,
		simulation.Crash, simulation.Clock, simulation.Lose, simulation.Hold, simulation.Delay, simulation.Repeat, simulation.RepeatAnew,
		simulation.Remove, simulation.Invite, simulation.End, simulation.Presence, simulation.Outage, simulation.Stop, simulation.Start,
	}
)

// mix is what the steps of one schedule are made of.
type mix struct {
	actions []simulation.Action
	lies    []simulation.Lie
	cast    []string
}

func anySchedule(t *rapid.T) simulation.Schedule {
	m := mix{
		actions: append(slices.Clone(always), rapid.SliceOfN(rapid.SampledFrom(sometimes), 2, 6).Draw(t, "actions")...),
		lies:    rapid.SliceOfN(rapid.SampledFrom(simulation.Lies), 1, 6).Draw(t, "lies"),
		cast:    rapid.SampledFrom(casts).Draw(t, "cast"),
	}
	s := simulation.Schedule{Redis: rapid.Bool().Draw(t, "redis"), Extra: rapid.IntRange(0, 1).Draw(t, "extra")}
	if rapid.IntRange(0, 3).Draw(t, "begin") > 0 {
		for _, who := range m.cast {
			s.Steps = append(s.Steps, simulation.Step{Do: simulation.Token, Who: who}, simulation.Step{Do: simulation.Join, Who: who})
		}
	}
	s.Steps = append(s.Steps, rapid.SliceOfN(rapid.Custom(m.step), minSteps, maxSteps).Draw(t, "steps")...)
	return s
}

func (m mix) step(t *rapid.T) simulation.Step {
	s := simulation.Step{
		Do:    rapid.SampledFrom(m.actions).Draw(t, "do"),
		After: rapid.SampledFrom(pauses).Draw(t, "after"),
		Who:   rapid.SampledFrom(m.cast).Draw(t, "who"),
		Call:  rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1}).Draw(t, "call"),
	}
	if s.After > 0 {
		s.After += time.Duration(rapid.IntRange(0, 1999).Draw(t, "ms")) * time.Millisecond
	}
	switch s.Do {
	case simulation.Begin:
		s.Lie = rapid.SampledFrom(m.lies).Draw(t, "lie")
	case simulation.Clock:
		s.By = time.Duration(rapid.IntRange(-60, 60).Draw(t, "seconds")) * time.Second
	case simulation.Invite:
		s.Role = rapid.SampledFrom(roles).Draw(t, "role")
		s.By = rapid.SampledFrom(pauses).Draw(t, "by")
	case simulation.Remove, simulation.End, simulation.Delay:
		s.By = rapid.SampledFrom(pauses).Draw(t, "by")
	case simulation.Repeat, simulation.RepeatAnew:
		s.Back = rapid.IntRange(0, 6).Draw(t, "back")
	default:
	}
	return s
}

package simulation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/simulation"
)

const (
	second = time.Second
	minute = time.Minute
)

// step is what happens after a while, to whom and how.
func step(after time.Duration, do simulation.Action, how ...any) simulation.Step {
	s := simulation.Step{After: after, Do: do}
	for _, one := range how {
		switch one := one.(type) {
		case string:
			s.Who = one
		case simulation.Lie:
			s.Lie = one
		case events.Role:
			s.Role = one
		case int:
			s.Call = one
		case time.Duration:
			s.By = one
		}
	}
	return s
}

// repeated is a step several times.
func repeated(times int, one simulation.Step) []simulation.Step {
	var steps []simulation.Step
	for range times {
		steps = append(steps, one)
	}
	return steps
}

// counterExamples are schedules that code before the evidence model, or on the way to it, did not
// stand. The numbers of cases are those of the collection of public bug reports that the model was
// made for.
var counterExamples = map[string]struct {
	redis bool
	steps [][]simulation.Step
}{
	// The old code showed alice as left for good, and the session as reconnecting with her in the
	// room: two listings without her ended her connection, and neither tracks nor listings of the
	// same sid undid that.
	"11: a participant who streams is left out of the listing": {steps: [][]simulation.Step{
		{step(0, simulation.Token, "alice"), step(0, simulation.Join, "alice"), step(second, simulation.Begin, "alice", simulation.HidePerson)},
		repeated(20, step(3*second, simulation.Publish, "alice")),
	}},
	// The old code ended the call after a grace period, with all three in the room: two listings
	// without the room were enough.
	"12: a room with people is left out of the listing": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Begin, simulation.HideRoom), step(0, simulation.Begin, simulation.DeleteNotFound)},
		repeated(20, step(5*second, simulation.Publish, "bob")),
	}},
	// The old code showed all of them as present for good: a store that outlives its nodes lists
	// the dead.
	"2: everybody is dead and stays listed": {redis: true, steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(minute, simulation.Crash)},
	}},
	// The old code showed bob as present for good.
	"2: one is dead and stays listed": {redis: true, steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(minute, simulation.Crash), step(5*second, simulation.Join, "alice")},
	}},
	// The old code left bob in the room: it took the first "not found" for the proof that he had
	// gone.
	"10: not found answers a removal": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Begin, simulation.RemoveNotFound)},
		{step(0, simulation.Remove, "bob"), step(10*second, simulation.Honest)},
	}},
	// The old code left bob's rights as they were, likewise.
	"10: not found answers a change of role": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Begin, simulation.RoleNotFound)},
		{step(0, simulation.Invite, "bob", events.RoleViewer), step(10*second, simulation.Honest)},
	}},
	// The old code asked once, and never compared: bob stayed for as long as he wanted.
	"10: a removal is answered with success, and bob stays": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Begin, simulation.Ignored)},
		{step(0, simulation.Remove, "bob"), step(0, simulation.Invite, "carol", events.RoleViewer), step(10*second, simulation.Honest)},
	}},
	// The old code looked at mapped identities only: the second connection was heard for as long as
	// it wanted.
	"1: one token, two people in the room": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Second, "bob"), step(minute, simulation.Wait)},
	}},
	// The old code put bob out, and left the one who publishes on his token.
	"1: the second connection of a member who is removed": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Second, "bob"), step(5*second, simulation.Remove, "bob")},
	}},
	// The old code showed alice as reconnecting for good: the later connection was earlier by its
	// clock.
	"14a: the newer connection has the earlier time": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(minute, simulation.Die, "alice"), step(25*second, simulation.Clock, -2*minute)},
		{step(0, simulation.Join, "alice")},
	}},
	// The old code showed the session as active, with a stranger alone in its room.
	"13: a stranger keeps the room open": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(second, simulation.Join, "stranger"), step(20*second, simulation.Leave, "alice")},
		{step(0, simulation.Leave, "bob"), step(0, simulation.Leave, "carol")},
	}},
	// The old code closed the track for good, which two listings from before it lacked.
	"11: a listing that is older than the track": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Begin, simulation.Freeze), step(second, simulation.Publish, "alice")},
		{step(minute, simulation.Honest)},
	}},
	// The old code compared no call at all while the listing of one room failed.
	"9: one room gives errors, another call changes": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(0, simulation.EverybodyIn, 1), step(20*second, simulation.Begin, simulation.ListFails)},
		{step(0, simulation.Lose, 1), step(0, simulation.Leave, "bob", 1), step(2*minute, simulation.Right, 1)},
	}},
	// On the way to the model, a webhook about a room that was not the current one was dropped: a
	// stale listing brought that room back, and bob with a connection whose end was told.
	"the end of the room before the current one is told late": {steps: [][]simulation.Step{
		{step(0, simulation.Token, "bob"), step(0, simulation.Join, "bob"), step(second, simulation.Hold), step(0, simulation.Leave, "bob")},
		{step(23*second, simulation.EverybodyIn), step(second, simulation.Prompt), step(0, simulation.Begin, simulation.OldRoom)},
		{step(2*minute, simulation.Wait)},
	}},
	"the end of a connection in the room before the current one is told late": {steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(second, simulation.Hold), step(0, simulation.Leave, "bob")},
		{step(second, simulation.Crash), step(5*second, simulation.Join, "alice"), step(second, simulation.Prompt)},
		{step(0, simulation.Begin, simulation.OldRoom), step(2*minute, simulation.Wait)},
	}},
	// On the way to the model, the bridge did not ask for an entry that is listed as connecting.
	"a dead connection is listed on its way in, of one who was replaced": {redis: true, steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(0, simulation.JoinSlowly, "alice"), step(0, simulation.Crash)},
	}},
	"a dead connection is listed on its way in, of one who is shown": {redis: true, steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(20*second, simulation.Lose), step(0, simulation.JoinSlowly, "bob")},
		{step(2*second, simulation.Crash), step(0, simulation.Prompt), step(30*second, simulation.Join, "alice")},
	}},
	// On the way to the model, the bridge did not ask for phones.
	"a dead phone is listed": {redis: true, steps: [][]simulation.Step{
		{step(0, simulation.EverybodyIn), step(0, simulation.Join, "phone"), step(minute, simulation.Crash)},
	}},
	// On the way to the model, the bridge asked only for participants who were shown.
	"members in a hidden room whose joining was not told": {steps: [][]simulation.Step{
		{step(0, simulation.Begin, simulation.HideRoom), step(0, simulation.Token, "alice"), step(0, simulation.Join, "alice")},
		{step(0, simulation.Lose), step(0, simulation.EverybodyIn), step(0, simulation.Remove, "alice"), step(2*minute, simulation.Wait)},
	}},
}

func TestCounterExamples(t *testing.T) {
	for name, example := range counterExamples {
		t.Run(name, func(t *testing.T) {
			s := simulation.Schedule{Redis: example.redis}
			for _, steps := range example.steps {
				s.Steps = append(s.Steps, steps...)
			}
			outcome := simulation.Run(t, s)
			require.Empty(t, outcome.Problems, "%s", outcome.Log())
		})
	}
}

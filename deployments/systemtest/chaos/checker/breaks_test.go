package checker_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/chaos/checker"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// breaks are histories that break a rule each, and how.
var breaks = map[string]struct {
	rule  string
	wrong func(t *testing.T, r run)
}{
	"an acknowledged change is gone": {checker.Acknowledged, func(_ *testing.T, r run) {
		s := r.Sessions[r.table]
		s.Log = slices.Delete(slices.Clone(s.Log), 1, 2)
	}},
	"an acknowledged event is gone": {checker.Acknowledged, func(_ *testing.T, r run) {
		s := r.Sessions[r.table]
		s.Log = slices.Delete(slices.Clone(s.Log), 2, 5)
	}},
	"an acknowledged end is gone, and another one comes later": {checker.Acknowledged, func(_ *testing.T, r run) {
		for i, o := range r.Operations {
			if o.Session == r.call {
				r.Operations[i].View.LastEventID = id("gone", 1)
			}
		}
	}},
	"an acknowledged session is gone": {checker.Acknowledged, func(_ *testing.T, r run) { r.Sessions[r.table].Log = nil }},
	"a refused change is done": {checker.Acknowledged, func(_ *testing.T, r run) {
		r.Operations[5].Change = history.Change{Number: 1}
	}},
	"an event is logged twice": {checker.Once, func(_ *testing.T, r run) {
		s := r.Sessions[r.table]
		s.Log = append(slices.Clone(s.Log), s.Log[2])
	}},
	"a change is logged under two ids": {checker.Once, func(t *testing.T, r run) {
		s := r.Sessions[r.table]
		again := event(t, r.table, 7, events.CallUpdated, sec(5), s.Log[1].Payload)
		s.Log = append(slices.Clone(s.Log), again)
	}},
	"a title is logged under two ids": {checker.Once, func(t *testing.T, r run) {
		s := r.Sessions[r.table]
		again := event(t, r.table, 7, events.CallUpdated, sec(5), s.Log[5].Payload)
		s.Log = append(slices.Clone(s.Log), again)
	}},
	"a creation makes two sessions": {checker.Once, func(_ *testing.T, r run) {
		second := r.Owned[owner][0]
		second.SessionID = id("session", 3)
		r.Owned[owner] = append(r.Owned[owner], second)
	}},
	"the log has another order than the acknowledgements": {checker.Ordered, func(_ *testing.T, r run) {
		log := r.Sessions[r.table].Log
		log[1], log[2] = log[2], log[1]
	}},
	"the state is another than the log's": {checker.Folded, func(_ *testing.T, r run) { r.Sessions[r.table].Final.Version = 4 }},
	"somebody is shown who left by the log": {checker.Folded, func(_ *testing.T, r run) {
		r.Sessions[r.call].Final.Participants[0].Status = "present"
	}},
	"the log has a step that there is not": {checker.Folded, func(t *testing.T, r run) {
		s := r.Sessions[r.call]
		s.Log[2] = event(t, r.call, 3, events.CallReconnected, sec(10), map[string]any{})
	}},
	"the log ends twice": {checker.Folded, func(t *testing.T, r run) {
		s := r.Sessions[r.call]
		again := event(t, r.call, 7, events.CallEnded, sec(40), s.Log[5].Payload)
		s.Log = append(slices.Clone(s.Log), again)
	}},
	"the service's own command finds something": {checker.Folded, func(_ *testing.T, r run) { r.Verified = "1 differs" }},
	"a later read shows less":                   {checker.Forward, func(_ *testing.T, r run) { r.Operations[6].View = r.Operations[2].View }},
	"a read does not show what was acknowledged": {checker.Forward, func(_ *testing.T, r run) {
		r.Operations[2].View = r.Operations[0].View
	}},
	"a read shows what the log does not have": {checker.Forward, func(_ *testing.T, r run) {
		r.Operations[6].View.LastEventID = id("nowhere", 1)
	}},
	"somebody is shown who is not there": {checker.True, func(_ *testing.T, r run) { r.Moments[0].Present = nil }},
	"somebody is there who is not shown": {checker.True, func(_ *testing.T, r run) { r.Moments[0].Shown = nil }},
	"a call that is over goes on": {checker.True, func(_ *testing.T, r run) {
		r.Sessions[r.call].Final.Status = "active"
	}},
	"a call that goes on is over": {checker.True, func(_ *testing.T, r run) {
		r.Listed = map[string]map[string]string{r.call: {identity: sid}}
	}},
	"somebody is taken for gone who is there": {checker.True, func(_ *testing.T, r run) {
		r.listedAlways()
		r.stay(sec(10), sec(50))
	}},
	"somebody is taken for gone by a guess, and put out for it": {checker.True, func(t *testing.T, r run) {
		relog(t, r.Sessions[r.call].Log, 3, func(payload map[string]any) { payload["reason"] = "unknown" })
		r.stay(sec(10), sec(31.5))
	}},
	"somebody stays in a call that is over":     {checker.True, func(_ *testing.T, r run) { r.Moments[1].Present = r.Moments[0].Present }},
	"somebody stays in a call who is no member": {checker.True, func(_ *testing.T, r run) { r.Moments[0].Barred = []string{identity} }},
	"a repeat is answered otherwise": {checker.Identical, func(_ *testing.T, r run) {
		again := r.Operations[0]
		again.Body, again.Called, again.Returned = "{2}", sec(5), sec(6)
		r.Operations = append(r.Operations, again)
	}},
	"a stream lacks an event":               {checker.Complete, func(_ *testing.T, r run) { drop(&r.Streams[0], 1, 2) }},
	"a stream ends early":                   {checker.Complete, func(_ *testing.T, r run) { drop(&r.Streams[0], 5, 6) }},
	"a stream repeats an event":             {checker.Complete, func(_ *testing.T, r run) { r.Streams[0].Seen[2] = r.Streams[0].Seen[1] }},
	"a stream has other content":            {checker.Complete, func(_ *testing.T, r run) { r.Streams[0].Seen[1].Raw = "{}" }},
	"a user's stream has a gap":             {checker.Complete, func(_ *testing.T, r run) { drop(&r.Streams[0], 2, 3); r.Streams[0].Session = "" }},
	"a read shows a version that never was": {checker.Linearizable, func(_ *testing.T, r run) { r.Operations[2].View.Version = 7 }},
	"a change was done in spite of its precondition": {checker.Linearizable, func(_ *testing.T, r run) {
		r.Operations[4].Change.IfMatch = 1
	}},
	"what came to no answer is seen before it was asked for": {checker.Linearizable, func(_ *testing.T, r run) {
		r.Operations[1].Verdict, r.Operations[1].View, r.Operations[1].Called = history.Unknown, history.View{}, sec(2.5)
	}},
	"a change was refused for no reason": {checker.Linearizable, func(_ *testing.T, r run) { r.Operations[5].Change.IfMatch = 3 }},
	"an event was not published":         {checker.Told, func(_ *testing.T, r run) { r.Published = r.Published[1:] }},
	"something was published that is not logged": {checker.Told, func(_ *testing.T, r run) {
		other := r.Published[0]
		other.EventID = id("nowhere", 2)
		r.Published = append(r.Published, other)
	}},
	"an event was published with other content": {checker.Told, func(_ *testing.T, r run) { r.Published[0].Raw = json.RawMessage(`{}`) }},
	"an event was published with two contents": {checker.Told, func(_ *testing.T, r run) {
		again := r.Published[0]
		again.Digest[0]++
		r.Published = append(r.Published, again)
	}},
	"events arrived in another order": {checker.Told, func(_ *testing.T, r run) {
		first := slices.IndexFunc(r.Published, func(e events.Accepted) bool { return e.SessionID == r.table })
		r.Published[first], r.Published[first+1] = r.Published[first+1], r.Published[first]
	}},
	"an event was published twice in the calm": {checker.Told, func(_ *testing.T, r run) {
		r.Sessions[r.table].Setting = history.Calm
		again := slices.IndexFunc(r.Published, func(e events.Accepted) bool { return e.SessionID == r.table })
		r.Published = append(r.Published, r.Published[again])
	}},
	"two relays hold a lane":      {checker.OneRelay, func(_ *testing.T, r run) { r.Lanes[lane]++ }},
	"two relays held a lane":      {checker.OneRelay, func(_ *testing.T, r run) { r.Contended[lane] = 4 * time.Second }},
	"nobody holds a lane":         {checker.OneRelay, func(_ *testing.T, r run) { r.Lanes[lane]-- }},
	"somebody was never answered": {checker.Answered, func(_ *testing.T, r run) { r.Unanswered = r.Operations[:1] }},
	"a reminder is set twice": {checker.Reminded, func(t *testing.T, r run) {
		s := r.Sessions[r.table]
		s.Log = append(s.Log, event(t, r.table, 7, events.ActionExecuted, sec(3), map[string]any{"causedBy": id(r.table, 3)}))
	}},
	"a reminder is not set": {checker.Reminded, func(t *testing.T, r run) {
		relog(t, r.Sessions[r.table].Log, 4, func(payload map[string]any) { payload["causedBy"] = nil })
	}},
}

// listedAlways has LiveKit list the call's participant in all listings.
func (r run) listedAlways() {
	for n := range r.Listings {
		r.Listings[n].Rooms[r.call] = map[string]string{identity: sid}
	}
}

func drop(s *history.Stream, from, to int) { s.Seen = slices.Delete(s.Seen, from, to) }

package checker

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// complete: a session's stream is its log from the beginning on, each event once, over all interruptions; a user's stream has the log of each
// of their sessions, in its order, where only what comes again after an interruption is passed over.
func complete(h *history.History, report reporter) {
	for _, stream := range h.Streams {
		if stream.Session == "" {
			usersStream(h, stream, report)
			continue
		}
		s := h.Sessions[stream.Session]
		if s == nil {
			report(stream.Session, "%s has followed a session that is not there", stream.Consumer)
			continue
		}
		if !sameEvents(stream.Consumer, stream.Session, stream.Seen, s.Log, report) {
			continue
		}
		if stream.Whole && len(stream.Seen) < len(s.Log) {
			next := s.Log[len(stream.Seen)]
			report(stream.Session, "%s was given %d of %d events, up to the end; the next is %s %s",
				stream.Consumer, len(stream.Seen), len(s.Log), next.Type, next.EventID)
		}
	}
}

func usersStream(h *history.History, stream history.Stream, report reporter) {
	first, given := map[string][]history.Seen{}, map[string]bool{}
	for _, seen := range stream.Seen {
		if !given[seen.EventID] {
			first[seen.Session] = append(first[seen.Session], seen)
		}
		given[seen.EventID] = true
	}
	for id, s := range h.Sessions {
		if !slices.ContainsFunc(s.Final.Members, func(m callplane.Member) bool { return m.UserID == stream.Consumer }) {
			continue
		}
		if sameEvents(stream.Consumer, id, first[id], s.Log, report) && stream.Whole && len(first[id]) < len(s.Log) {
			next := s.Log[len(first[id])]
			report(id, "%s was given %d of %d events over all sessions; the next is %s %s",
				stream.Consumer, len(first[id]), len(s.Log), next.Type, next.EventID)
		}
	}
}

// sameEvents holds what a consumer was given to the beginning of the log.
func sameEvents(consumer, session string, seen []history.Seen, log []callplane.Event, report reporter) bool {
	for i, one := range seen {
		switch {
		case i >= len(log):
			report(session, "%s was given event %s after the last one of the log", consumer, one.EventID)
		case one.EventID != log[i].EventID:
			report(session, "%s was given %s as event %d, which is %s %s in the log", consumer, one.EventID, i+1, log[i].Type, log[i].EventID)
		case !sameJSON(one.Raw, string(log[i].Raw)):
			report(session, "%s was given event %d as\n    %s\n  and the log has\n    %s", consumer, i+1, one.Raw, log[i].Raw)
		default:
			continue
		}
		return false
	}
	return true
}

func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var first, second any
	return json.Unmarshal([]byte(a), &first) == nil && json.Unmarshal([]byte(b), &second) == nil && reflect.DeepEqual(first, second)
}

// emitter is who publishes an event.
func emitter(t events.Type) string {
	switch {
	case strings.HasPrefix(string(t), "action."):
		return "orchestrator"
	case t == events.CallCreated || t == events.CallUpdated || t == events.CallEnded || t == events.CallFailed ||
		strings.HasPrefix(string(t), "call.member.") || !strings.HasPrefix(string(t), "call."):
		return "sessions"
	default:
		return "bridge"
	}
}

// arrivals are what the broker gave.
type arrivals struct {
	first map[string]events.Accepted // by event id
	times map[string]int             // by event id
	order map[string][]string        // first arrivals by session and emitter
}

func arrivalsOf(h *history.History, report reporter) arrivals {
	a := arrivals{map[string]events.Accepted{}, map[string]int{}, map[string][]string{}}
	for _, e := range h.Published {
		a.times[e.EventID]++
		before, again := a.first[e.EventID]
		switch {
		case !again:
			a.first[e.EventID] = e
			key := e.SessionID + emitter(e.Type)
			a.order[key] = append(a.order[key], e.EventID)
		case before.Digest != e.Digest:
			report(e.SessionID, "%s %s was published with two contents", e.Type, e.EventID)
		}
	}
	return a
}

// told: what is logged was published, with the same content, and what was published is logged or set aside. Each emitter's events arrive for
// the first time in the order of the log. After the last fault nothing is published twice.
func told(h *history.History, report reporter) {
	a := arrivalsOf(h, report)
	logged := map[string]bool{}
	for id, s := range h.Sessions {
		for _, e := range s.Log {
			logged[e.EventID] = true
		}
		a.tell(id, s, report)
	}
	for eventID, e := range a.first {
		if _, aside := h.Quarantined[eventID]; !logged[eventID] && !aside && h.Sessions[e.SessionID] != nil {
			report(e.SessionID, "%s %s was published and is neither logged nor set aside", e.Type, eventID)
		}
	}
}

// tell holds one log to what has arrived of it.
func (a arrivals) tell(id string, s *history.Session, report reporter) {
	inLog, logged := map[string][]string{}, map[string]bool{}
	for i, e := range s.Log {
		logged[e.EventID] = true
		key := id + emitter(e.Type)
		inLog[key] = append(inLog[key], e.EventID)
		copied, there := a.first[e.EventID]
		switch times := a.times[e.EventID]; {
		case !there:
			report(id, "event %d (%s %s) was not published", i+1, e.Type, e.EventID)
		case !sameJSON(string(copied.Raw), string(e.Raw)):
			report(id, "event %d (%s %s) was published with other content", i+1, e.Type, e.EventID)
		case s.Setting == history.Calm && times > 1:
			report(id, "event %d (%s %s) was published %d times while nothing was broken", i+1, e.Type, e.EventID, times)
		}
	}
	for key, ids := range inLog {
		arrived := slices.DeleteFunc(slices.Clone(a.order[key]), func(id string) bool { return !logged[id] })
		if len(arrived) == len(ids) && !slices.Equal(arrived, ids) {
			report(id, "what %s told arrived in the order %v, and is logged in the order %v", strings.TrimPrefix(key, id), arrived, ids)
		}
	}
}

// contention is how long two relays may seem to hold a lane, since they are not asked at the same moment.
const contention = 3 * time.Second

// oneRelay: after the last fault each lane is held by one relay, and at any time by one at most.
func oneRelay(h *history.History, report reporter) {
	for lane, relays := range h.Lanes {
		if relays != 1 {
			report("", "%d relays of %s hold lane %d of its outbox", relays, lane.Service, lane.Number)
		}
	}
	for lane, d := range h.Contended {
		if d > contention {
			report("", "more than one relay of %s held lane %d of its outbox for %s", lane.Service, lane.Number, d.Round(time.Millisecond))
		}
	}
}

// Reminder is what is said where the orchestrator shall act.
const Reminder = "Remind me"

// reminded: whatever was asked of the orchestrator was proposed once and then done once.
func reminded(h *history.History, report reporter) {
	for id, s := range h.Sessions {
		var asked []string
		proposed, executed := map[string]int{}, map[string]int{}
		for _, e := range s.Log {
			cause := causeOf(e)
			switch {
			case IsReminder(e):
				asked = append(asked, e.EventID)
			case e.Type == events.ActionProposed:
				proposed[cause]++
			case e.Type == events.ActionExecuted:
				executed[cause]++
				if proposed[cause] == 0 {
					report(id, "what %s asked for was done before it was proposed", cause)
				}
			}
		}
		for _, cause := range asked {
			if proposed[cause] != 1 || executed[cause] != 1 {
				report(id, "what %s asked for was proposed %d times and done %d times", cause, proposed[cause], executed[cause])
			}
		}
	}
}

// IsReminder says whether an event asks the orchestrator to do something.
func IsReminder(e callplane.Event) bool {
	if e.Type != events.TranscriptFinal {
		return false
	}
	said, err := payloadOf[events.TranscriptFinalPayload](e)
	return err == nil && strings.HasPrefix(said.Text, Reminder)
}

// causeOf is the event that an action answers, "" where it names none.
func causeOf(e callplane.Event) string {
	var payload struct {
		CausedBy string `json:"causedBy"`
	}
	_ = json.Unmarshal(e.Payload, &payload) // What can't be read names none.
	return payload.CausedBy
}

package checker

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/libs/outbox"
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

// told: what is logged was published, with the same content, and what was published is logged or set aside. Each emitter's events arrive for
// the first time in the order of the log. After the last fault nothing is published twice.
func told(h *history.History, report reporter) {
	published := map[string]events.Accepted{}
	order := map[string][]string{} // first arrivals by session and emitter
	times := map[string]int{}
	for _, e := range h.Published {
		times[e.EventID]++
		if before, again := published[e.EventID]; again {
			if before.Digest != e.Digest {
				report(e.SessionID, "%s %s was published with two contents", e.Type, e.EventID)
			}
			continue
		}
		published[e.EventID] = e
		key := e.SessionID + emitter(e.Type)
		order[key] = append(order[key], e.EventID)
	}
	logged := map[string]bool{}
	for id, s := range h.Sessions {
		inLog := map[string][]string{}
		for i, e := range s.Log {
			logged[e.EventID] = true
			key := id + emitter(e.Type)
			inLog[key] = append(inLog[key], e.EventID)
			copied, there := published[e.EventID]
			switch {
			case !there:
				report(id, "event %d (%s %s) was not published", i+1, e.Type, e.EventID)
			case !sameJSON(string(copied.Raw), string(e.Raw)):
				report(id, "event %d (%s %s) was published with other content", i+1, e.Type, e.EventID)
			case s.Setting == history.Calm && times[e.EventID] > 1:
				report(id, "event %d (%s %s) was published %d times while nothing was broken", i+1, e.Type, e.EventID, times[e.EventID])
			}
		}
		for key, ids := range inLog {
			arrived := slices.DeleteFunc(slices.Clone(order[key]), func(id string) bool { return !logged[id] })
			if len(arrived) == len(ids) && !slices.Equal(arrived, ids) {
				report(id, "what %s told arrived in the order %v, and is logged in the order %v", strings.TrimPrefix(key, id), arrived, ids)
			}
		}
	}
	for eventID, e := range published {
		if _, aside := h.Quarantined[eventID]; !logged[eventID] && !aside && h.Sessions[e.SessionID] != nil {
			report(e.SessionID, "%s %s was published and is neither logged nor set aside", e.Type, eventID)
		}
	}
}

// oneRelay: after the last fault the relays of a service share its lanes, and each lane is held by one.
func oneRelay(h *history.History, report reporter) {
	for service, held := range h.Lanes {
		if held != outbox.Lanes {
			report("", "the relays of %s hold %d lanes together, and there are %d", service, held, outbox.Lanes)
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
			switch e.Type {
			case events.TranscriptFinal:
				if p, err := payloadOf[events.TranscriptFinalPayload](e); err == nil && strings.HasPrefix(p.Text, Reminder) {
					asked = append(asked, e.EventID)
				}
			case events.ActionProposed:
				if p, err := payloadOf[events.ActionProposedPayload](e); err == nil && p.CausedBy != nil {
					proposed[*p.CausedBy]++
				}
			case events.ActionExecuted:
				if p, err := payloadOf[events.ActionExecutedPayload](e); err == nil && p.CausedBy != nil {
					executed[*p.CausedBy]++
					if proposed[*p.CausedBy] == 0 {
						report(id, "what %s asked for was done before it was proposed", *p.CausedBy)
					}
				}
			default:
			}
		}
		for _, cause := range asked {
			if proposed[cause] != 1 || executed[cause] != 1 {
				report(id, "what %s asked for was proposed %d times and done %d times", cause, proposed[cause], executed[cause])
			}
		}
	}
}

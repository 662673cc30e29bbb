package checker

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// positions finds in a log what operations have written.
type positions struct {
	byID     map[string]int
	byNumber map[int]int
	byTitle  map[string]int
	byStatus map[string]int
}

func positionsIn(log []callplane.Event) positions {
	p := positions{map[string]int{}, map[int]int{}, map[string]int{}, map[string]int{}}
	for i, e := range log {
		p.byID[e.EventID] = i
		if status, tells := reached[e.Type]; tells {
			p.reaches(status, i)
		}
		changes, ok := changesOf(e)
		if !ok {
			continue
		}
		if n := history.NumberIn(changes.Metadata); n > 0 {
			p.byNumber[n] = i
		}
		if title, given := changes.Title.Get(); given && title != nil {
			p.byTitle[*title] = i
		}
		if changes.Status != nil {
			p.reaches(*changes.Status, i)
		}
	}
	return p
}

// reached are the statuses that events tell which no user has asked for. Who then asks for the same changes nothing, and is answered with success.
var reached = map[events.Type]events.Status{
	events.CallConnected: events.StatusActive, events.CallEnded: events.StatusEnded, events.CallFailed: events.StatusFailed,
}

// reaches notes where a status is reached first.
func (p positions) reaches(status events.Status, at int) {
	if _, known := p.byStatus[string(status)]; !known {
		p.byStatus[string(status)] = at
	}
}

// changesOf reads what a call.updated says has changed.
func changesOf(e callplane.Event) (events.Changes, bool) {
	if e.Type != events.CallUpdated {
		return events.Changes{}, false
	}
	var payload events.CallUpdatedPayload
	err := json.Unmarshal(e.Payload, &payload)
	return payload.Changes, err == nil
}

// written is where in the log an operation's effect is, and whether it has one that can be told.
func (p positions) written(o history.Operation) (at int, there, wrote bool) {
	switch {
	case o.Kind == history.Post:
		at, there = p.byID[o.Key]
	case o.Kind != history.Patch:
		return 0, false, false
	case o.Change.Number > 0:
		at, there = p.byNumber[o.Change.Number]
	case o.Change.Title != "":
		at, there = p.byTitle[o.Change.Title]
	case o.Change.Status != "":
		at, there = p.byStatus[o.Change.Status] // By whomever: a repeat changes nothing. What comes after the answer is another end.
		if last, known := p.byID[o.View.LastEventID]; o.Verdict == history.Done {
			there = there && known && at <= last
		}
	}
	return at, there, true
}

// acknowledged: what was answered with success is in its session's log, and what was refused is not.
func acknowledged(h *history.History, report reporter) {
	done := map[string]bool{}
	for _, o := range h.Operations {
		done[o.Key] = done[o.Key] || o.Key != "" && o.Verdict == history.Done
	}
	for id, operations := range bySession(h) {
		s := h.Sessions[id]
		if s == nil || len(s.Log) == 0 {
			report(id, "%s was answered at %s, and there is no such session", operations[0].Kind, at(operations[0].Returned))
			continue
		}
		p := positionsIn(s.Log)
		for _, o := range operations {
			_, there, wrote := p.written(o)
			switch {
			case !wrote:
			case o.Verdict == history.Done && !there:
				report(id, "%s of %s by %s was acknowledged at %s and is not in the log", o.Kind, what(o), o.Client, at(o.Returned))
			case o.Verdict == history.Refused && there && o.Change.Status == "" && !done[o.Key]:
				report(id, "%s of %s by %s was refused (%s) at %s and is in the log", o.Kind, what(o), o.Client, o.Code, at(o.Returned))
			}
		}
	}
}

// once: no event is twice in a log, nor what one request wrote under two ids, nor a session made twice by one creation.
func once(h *history.History, report reporter) {
	for id, s := range h.Sessions {
		ids, numbers, titles := map[string]int{}, map[int]int{}, map[string]int{}
		for i, e := range s.Log {
			if before, twice := ids[e.EventID]; twice {
				report(id, "%s %s is logged twice, as events %d and %d", e.Type, e.EventID, before+1, i+1)
			}
			ids[e.EventID] = i
			changes, ok := changesOf(e)
			if !ok {
				continue
			}
			if n := history.NumberIn(changes.Metadata); n > 0 {
				if before, twice := numbers[n]; twice {
					report(id, "change %d is logged twice, as events %d and %d", n, before+1, i+1)
				}
				numbers[n] = i
			}
			if title, given := changes.Title.Get(); given && title != nil {
				if before, twice := titles[*title]; twice {
					report(id, "title %q is logged twice, as events %d and %d", *title, before+1, i+1)
				}
				titles[*title] = i
			}
		}
	}
	for owner, sessions := range h.Owned {
		byKey := map[string]string{}
		for _, s := range sessions {
			key := creationOf(s)
			if before, twice := byKey[key]; twice && key != "" {
				report(s.SessionID, "%s's creation %s made session %s as well", owner, key, before)
			}
			byKey[key] = s.SessionID
		}
	}
}

// creationOf is the key of a creation, which it leaves in the metadata.
func creationOf(s callplane.Session) string {
	var m struct {
		Creation string `json:"creation"`
	}
	_ = json.Unmarshal(s.Metadata, &m) // What can't be read has none.
	return m.Creation
}

// ordered: what was acknowledged before something else was asked for comes before it in the log.
func ordered(h *history.History, report reporter) {
	for id, operations := range bySession(h) {
		s := h.Sessions[id]
		if s == nil {
			continue
		}
		p := positionsIn(s.Log)
		type write struct {
			history.Operation

			at int
		}
		var writes []write
		for _, o := range operations {
			if at, there, _ := p.written(o); there && o.Verdict == history.Done && o.Change.Status == "" {
				writes = append(writes, write{o, at})
			}
		}
		firstDone := map[int]time.Duration{} // a repeated answer says nothing about when it was written
		for _, w := range writes {
			if before, known := firstDone[w.at]; !known || w.Returned < before {
				firstDone[w.at] = w.Returned
			}
		}
		asked := earliestCalls(operations, p)
		for a, returned := range firstDone {
			for b, called := range asked {
				if returned < called && a > b {
					report(id, "event %d (%s) was acknowledged at %s, before event %d was asked for at %s, and comes after it",
						a+1, s.Log[a].Type, at(returned), b+1, at(called))
				}
			}
		}
	}
}

// earliestCalls is when each event of the log was first asked for.
func earliestCalls(operations []history.Operation, p positions) map[int]time.Duration {
	asked := map[int]time.Duration{}
	for _, o := range operations {
		at, there, _ := p.written(o)
		if !there || o.Change.Status != "" {
			continue
		}
		if before, known := asked[at]; !known || o.Called < before {
			asked[at] = o.Called
		}
	}
	return asked
}

// identical: whatever has a key is answered with the same bytes each time.
func identical(h *history.History, report reporter) {
	first := map[string]history.Operation{}
	for _, o := range h.Operations {
		if o.Key == "" || o.Verdict != history.Done {
			continue
		}
		key := string(o.Kind) + " " + o.Key
		before, known := first[key]
		if !known {
			first[key] = o
			continue
		}
		if before.Body != o.Body {
			report(o.Session, "%s was answered at %s with\n    %s\n  and at %s with\n    %s", key, at(before.Returned), before.Body, at(o.Returned), o.Body)
		}
	}
}

// answered: who tries again gets an answer in the end.
func answered(h *history.History, report reporter) {
	for _, o := range h.Unanswered {
		report(o.Session, "%s of %s by %s from %s on was given up at %s: %s", o.Kind, what(o), o.Client, at(o.Called), at(o.Returned), o.Code)
	}
}

func bySession(h *history.History) map[string][]history.Operation {
	all := map[string][]history.Operation{}
	for _, o := range h.Operations {
		if o.Session != "" {
			all[o.Session] = append(all[o.Session], o)
		}
	}
	return all
}

// what names what an operation asks for.
func what(o history.Operation) string {
	switch {
	case o.Kind == history.Post || o.Kind == history.Create:
		return o.Key
	case o.Change.Number > 0:
		return "change " + strconv.Itoa(o.Change.Number)
	case o.Change.Title != "":
		return "title " + o.Change.Title
	case o.Change.Status != "":
		return "status " + o.Change.Status
	default:
		return "the session"
	}
}

// at rounds a time for people.
func at(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

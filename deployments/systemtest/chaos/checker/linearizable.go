package checker

import (
	"math"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// searchTime bounds the search for an order of one session's operations. One that is not found in time is not held against anybody.
const searchTime = 20 * time.Second

// session is what the API is to be, for one session that nobody else changes.
type session struct {
	made    bool
	version int64
	status  string
	title   string
	number  int
}

// The codes of refusals that follow from the state.
const (
	preconditionFailed = "precondition_failed"
	sessionFinal       = "session_final"
	invalidTransition  = "invalid_transition"
)

// patched is the session after a change, or the code by which it is refused.
func (s session) patched(c history.Change) (session, string) {
	over := s.status == "ended" || s.status == "failed"
	if c.Status == s.status && c.Title == "" && c.Number == 0 {
		return s, "" // a replay, whatever version is expected
	}
	if c.IfMatch != 0 && c.IfMatch != s.version {
		return s, preconditionFailed
	}
	if over && (c.Title != "" || c.Status != "") {
		return s, sessionFinal
	}
	switch {
	case c.Status == "":
	case c.Status == "active" && s.status == "created", c.Status == "ended":
		s.status = c.Status
	default:
		return s, invalidTransition
	}
	if c.Title != "" {
		s.title = c.Title
	}
	if c.Number != 0 {
		s.number = c.Number
	}
	s.version++
	return s, ""
}

func (s session) shows(v history.View) bool {
	return s.made && v.Version == s.version && v.Status == s.status && v.Title == s.title && v.Number == s.number
}

// model is the session as porcupine wants it: each operation takes effect at one moment between its question and its answer.
var model = porcupine.Model{
	Init: func() any { return session{} },
	Step: func(before, asked, _ any) (bool, any) {
		s, isSession := before.(session)
		o, isOperation := asked.(history.Operation)
		if !isSession || !isOperation {
			return false, before
		}
		return s.step(o)
	},
	DescribeOperation: func(asked, _ any) string {
		if o, ok := asked.(history.Operation); ok {
			return string(o.Kind) + " " + what(o) + " " + string(o.Verdict)
		}
		return ""
	},
}

func (s session) step(o history.Operation) (bool, session) {
	switch o.Kind {
	case history.Create:
		made := session{made: true, version: o.View.Version, status: o.View.Status, title: o.View.Title, number: o.View.Number}
		return !s.made, made
	case history.Get:
		return s.shows(o.View), s
	case history.Patch:
		after, code := s.patched(o.Change)
		switch o.Verdict {
		case history.Done:
			return s.made && code == "" && after.shows(o.View), after
		case history.Refused:
			return s.made && code == o.Code, s
		case history.Unknown: // Where it was not done, it is as if it were done after all that was seen.
		}
		return s.made && (o.View.Version == 0 || after.version == o.View.Version), after
	default:
		return true, s // What services say changes nothing of the session.
	}
}

// linearizable: for each session that nobody but the API's users change, there is an order of all operations, each between its question and
// its answer, that explains every answer.
func linearizable(h *history.History, report reporter) {
	for id, operations := range bySession(h) {
		s := h.Sessions[id]
		if s == nil || s.Setting != history.Table {
			continue
		}
		ops := operationsOf(decided(operations, s.Log))
		if porcupine.CheckOperationsTimeout(model, ops, searchTime) == porcupine.Illegal {
			report(id, "no order of its %d operations explains the answers:\n    %s", len(ops), strings.Join(answersOf(ops), "\n    "))
		}
	}
}

// decided leaves out what came to no answer and is not in the log, and says of what is there which version it made. Otherwise the search would
// have to try everything that came to no answer at each moment since. A change of the status stays open: another may have made it as well.
func decided(operations []history.Operation, log []callplane.Event) []history.Operation {
	p := positionsIn(log)
	var all []history.Operation
	for _, o := range operations {
		if o.Kind == history.Patch && o.Verdict == history.Unknown && o.Change.Status == "" {
			position, there, _ := p.written(o)
			if !there {
				continue
			}
			made, err := payloadOf[events.CallUpdatedPayload](log[position])
			if err != nil {
				continue // which is told by another rule
			}
			o.View.Version = made.SessionVersion
		}
		all = append(all, o)
	}
	return all
}

func operationsOf(all []history.Operation) []porcupine.Operation {
	var ops []porcupine.Operation
	clients := map[string]int{}
	var creation *porcupine.Operation
	for _, o := range all {
		if o.Kind == history.Post || o.Kind == history.Get && o.Verdict != history.Done {
			continue
		}
		if _, known := clients[o.Client]; !known {
			clients[o.Client] = len(clients)
		}
		op := porcupine.Operation{ClientId: clients[o.Client], Input: o, Call: int64(o.Called), Return: int64(o.Returned)}
		if o.Verdict == history.Unknown {
			op.ClientId = len(clients) + len(all) + len(ops) // whoever asked goes on, while it may still be done
			op.Return = math.MaxInt64
		}
		if o.Kind == history.Create {
			if creation == nil && o.Verdict == history.Done {
				op.Call = 0 // by whichever attempt
				creation = &op
				ops = append(ops, op)
			}
			continue
		}
		ops = append(ops, op)
	}
	return ops
}

func answersOf(ops []porcupine.Operation) []string {
	lines := make([]string, 0, len(ops))
	for _, op := range ops {
		if o, ok := op.Input.(history.Operation); ok {
			lines = append(lines, line(o))
		}
	}
	return lines
}

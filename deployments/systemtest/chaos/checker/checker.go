// Package checker judges a run by its history alone, from outside: rules that hold whatever breaks. Each is a pure function, and each has a
// test with a history that breaks it.
package checker

import (
	"fmt"

	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// Violation is a rule that was broken, in which session, and how.
type Violation struct {
	Rule    string
	Session string // "" where it is no session's
	What    string
}

// String says all of it in a line.
func (v Violation) String() string {
	if v.Session == "" {
		return fmt.Sprintf("%s: %s", v.Rule, v.What)
	}
	return fmt.Sprintf("%s: session %s: %s", v.Rule, v.Session, v.What)
}

// rule is one of them.
type rule struct {
	name  string
	check func(h *history.History, report reporter)
}

// reporter takes down a violation.
type reporter func(session, format string, args ...any)

// The rules' names.
const (
	Acknowledged = "every acknowledged write is there"
	Once         = "every event is logged once"
	Ordered      = "order is kept per session"
	Folded       = "log and state agree"
	Forward      = "no state goes back"
	True         = "sessions show what is so at the provider"
	Identical    = "repeated requests are answered alike"
	Complete     = "streams are complete"
	Linearizable = "the API is linearizable"
	Told         = "what is logged is published, and nothing else"
	OneRelay     = "one relay holds a lane"
	Answered     = "who tries again is answered"
	Reminded     = "what is asked of the orchestrator is done once"
)

var rules = []rule{
	{Acknowledged, acknowledged},
	{Once, once},
	{Ordered, ordered},
	{Folded, folded},
	{Forward, forward},
	{True, truth},
	{Identical, identical},
	{Complete, complete},
	{Linearizable, linearizable},
	{Told, told},
	{OneRelay, oneRelay},
	{Answered, answered},
	{Reminded, reminded},
}

// Check holds a history to all rules, and gives what breaks them.
func Check(h *history.History) []Violation {
	var found []Violation
	for _, r := range rules {
		r.check(h, func(session, format string, args ...any) {
			found = append(found, Violation{Rule: r.name, Session: session, What: fmt.Sprintf(format, args...)})
		})
	}
	return found
}

// Rules names all rules.
func Rules() []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return names
}

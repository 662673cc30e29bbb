package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
)

// timeline shows what is done and what the session's log says, line by line, as it happens.
type timeline struct {
	mu      sync.Mutex
	out     io.Writer
	colour  bool
	started time.Time
	state   string
	states  []string             // every state the log showed, in order
	done    map[string]time.Time // when an action of ours began
}

func newTimeline(out io.Writer, colour bool) *timeline {
	return &timeline{out: out, colour: colour, started: time.Now(), done: map[string]time.Time{}}
}

// coloured says whether out is a terminal whose user didn't turn colours off (https://no-color.org).
func coloured(out *os.File, environ []string) bool {
	if slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, "NO_COLOR=") && e != "NO_COLOR=" }) {
		return false
	}
	info, err := out.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// The colours of a terminal (ECMA-48, SGR).
const (
	plain, bold, dim, cyan = "0", "1", "2", "36"
	green, yellow, red     = "32", "33", "31"
)

func (t *timeline) paint(colour, text string) string {
	if !t.colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (t *timeline) line(format string, args ...any) {
	say(t.out, format+"\n", args...)
}

// header says what the columns are.
func (t *timeline) header(title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line("\n%s\n", t.paint(bold, title))
	t.line("%s", t.paint(dim, fmt.Sprintf("%9s  %-12s  %-24s  %-8s  %s", "time", "state", "event", "who", "since the cause")))
}

// action shows something that is about to be done, and remembers when under the name that events are traced back to.
func (t *timeline) action(cause, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if cause != "" {
		t.done[cause] = now
	}
	t.line("%s  %-12s  %s", t.clock(now), "", t.paint(cyan, "→ "+text))
}

// note shows something that was observed outside the log.
func (t *timeline) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line("%s  %-12s  %s", t.clock(time.Now()), "", t.paint(dim, "· "+text))
}

// event shows one event of the log, seen now.
func (t *timeline) event(e callplane.Event, f facts, cause string, causeText string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if next := f.state(e.Type); next != "" && next != t.state {
		t.state = next
		t.states = append(t.states, next)
	}
	since, text := t.done[cause], causeText
	if since.IsZero() { // nothing that we did: then since the provider says that it happened
		since, _ = e.Time()
		text = "it happened"
	}
	state := t.paint(stateColour(t.state), fmt.Sprintf("%-12s", t.state))
	t.line("%s  %s  %-24s  %-8s  %s", t.clock(now), state, e.Type, f.who(e),
		fmt.Sprintf("%5d ms  %s", now.Sub(since).Milliseconds(), t.paint(dim, text)))
}

// seenStates is every state that the log showed, in order.
func (t *timeline) seenStates() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.states)
}

func (t *timeline) clock(now time.Time) string {
	return t.paint(dim, fmt.Sprintf("%8.3fs", now.Sub(t.started).Seconds()))
}

func stateColour(state string) string {
	switch state {
	case "active":
		return green
	case "reconnecting":
		return yellow
	case "failed":
		return red
	case "ended":
		return bold
	}
	return plain
}

// facts is what the timeline needs of any event's payload.
type facts struct {
	UserID   string `json:"userId"`
	OwnerID  string `json:"ownerId"`
	Reason   string `json:"reason"`
	RoomName string `json:"roomName"`
	Changes  struct {
		Status string `json:"status"`
	} `json:"changes"`
}

func factsOf(e callplane.Event) (facts, error) {
	var f facts
	if err := json.Unmarshal(e.Payload, &f); err != nil {
		return facts{}, fmt.Errorf("reading the payload of %s %s: %w", e.Type, e.EventID, err)
	}
	return f, nil
}

// who the event is about.
func (f facts) who(e callplane.Event) string {
	if f.UserID != "" {
		return f.UserID
	}
	return e.Actor.ID
}

// state is what the session becomes by the event; empty where it stays.
func (f facts) state(t events.Type) string {
	switch t {
	case events.CallCreated:
		return "created"
	case events.CallUpdated:
		return f.Changes.Status
	case events.CallConnected, events.CallReconnected:
		return "active"
	case events.CallReconnecting:
		return "reconnecting"
	case events.CallEnded:
		return "ended"
	case events.CallFailed:
		return "failed"
	default:
		return ""
	}
}

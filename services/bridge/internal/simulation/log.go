package simulation

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// log is what happened, and what was wrong with it.
type log struct {
	began time.Time

	mu       sync.Mutex
	lines    []line
	problems []string
}

// line is one thing that happened. It becomes text only where it is read, which few schedules need.
type line struct {
	at     time.Duration
	format string
	args   []any
}

func (l *log) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line{time.Since(l.began), format, args})
}

func (l *log) problem(format string, args ...any) {
	l.note("PROBLEM: "+format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// String lists what happened, a line each.
func (l *log) String() string {
	var b strings.Builder
	for _, n := range l.lines {
		fmt.Fprintf(&b, "%8.1fs ", n.at.Seconds())
		fmt.Fprintf(&b, n.format+"\n", n.args...)
	}
	return b.String()
}

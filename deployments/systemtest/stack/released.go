package stack

import (
	"maps"
	"testing"

	"github.com/callplane/callplane/libs/testkit"
)

// Released is New with both services as they are released: without the race detector, and logging what is wrong only. It is for figures, so
// nobody observes what is published.
func Released(b *testing.B, options ...Option) *Stack {
	b.Helper()
	s := Prepare(b, testkit.Rabbit(b), append(options, unobserved)...)
	s.Sessions, s.Bridge = s.released(b, s.Sessions), s.released(b, s.Bridge)
	s.Start(b)
	s.AwaitReady(b)
	return s
}

func (s *Stack) released(b *testing.B, p *Process) *Process {
	b.Helper()
	env := maps.Clone(p.env)
	env["LOG_LEVEL"] = "warn"
	process := NewProcess(p.name, Binary(b, p.name+released), env)
	s.own(b, process)
	return process
}

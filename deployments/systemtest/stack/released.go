package stack

import (
	"maps"
	"os/exec"
	"path/filepath"
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
	binary := filepath.Join(b.TempDir(), p.name)
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "./cmd/"+p.name) //nolint:gosec // Fixed names.
	cmd.Dir = filepath.Join(testkit.Root(), "services", p.name)
	if output, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("building %s: %v\n%s", p.name, err, output)
	}
	env := maps.Clone(p.env)
	env["LOG_LEVEL"] = "warn"
	released := NewProcess(p.name, binary, env)
	s.own(b, released)
	return released
}

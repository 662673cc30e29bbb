package stack

import (
	"maps"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/callplane/callplane/libs/testkit"
)

// Released is New with both services as they are released: without the race detector, and logging what is wrong only. It is for figures.
// The bridge has the further settings.
func Released(b *testing.B, bridge map[string]string) *Stack {
	b.Helper()
	s := prepare(b, testkit.Rabbit(b), false) // An observer would take its share of the broker.
	s.Sessions, s.Bridge = s.released(b, s.Sessions, nil), s.released(b, s.Bridge, bridge)
	s.Start(b)
	s.AwaitReady(b)
	return s
}

func (s *Stack) released(b *testing.B, p *Process, settings map[string]string) *Process {
	b.Helper()
	binary := filepath.Join(b.TempDir(), p.name)
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "./cmd/"+p.name) //nolint:gosec // Fixed names.
	cmd.Dir = filepath.Join(testkit.Root(), "services", p.name)
	if output, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("building %s: %v\n%s", p.name, err, output)
	}
	env := maps.Clone(p.env)
	maps.Copy(env, settings)
	env["LOG_LEVEL"] = "warn"
	released := NewProcess(p.name, binary, env)
	s.own(b, released)
	return released
}

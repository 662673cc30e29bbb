package testkit

import (
	"fmt"
	"os"
	"sync"
)

// group is what the whole test binary shares.
type group struct {
	mu      sync.Mutex
	closers []func(failed bool)
}

var shared group

// onClose has f called at the end of the test binary.
func (g *group) onClose(f func(failed bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closers = append(g.closers, f)
}

// keep removes a container at the end of the test binary.
func (g *group) keep(c *Container) {
	g.onClose(func(failed bool) {
		if failed {
			fmt.Fprintf(os.Stderr, "%s%s\n", c.docker.Image, c.logsOrNothing())
		}
		if err := c.remove(); err != nil {
			fmt.Fprintf(os.Stderr, "testkit: %v\n", err)
		}
	})
}

// close calls what onClose was given, last first.
func (g *group) close(failed bool) {
	g.mu.Lock()
	closers := g.closers
	g.closers = nil
	g.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i](failed)
	}
}

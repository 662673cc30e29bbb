// Package stopfx lets several parts of an fx application ask for its end at the same time.
package stopfx

import (
	"sync"

	"go.uber.org/fx"
)

// Option makes the application's fx.Shutdowner safe for concurrent use: fx keeps the exit code in a field that it does not guard.
var Option = fx.Decorate(func(next fx.Shutdowner) fx.Shutdowner { return &shutdowner{next: next} })

type shutdowner struct {
	mu   sync.Mutex
	next fx.Shutdowner
}

// Shutdown implements fx.Shutdowner.
func (s *shutdowner) Shutdown(options ...fx.ShutdownOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next.Shutdown(options...)
}

package caller

import (
	"slices"
	"sync"
	"time"
)

// Silence is how long a caller's process may say nothing until it counts as not being in the room:
// it has been killed or frozen, or its client has lost the connection.
const Silence = 4 * beat

// Stay is a time in which a caller was in the room by one connection. A process that says so all
// the time has one stay for each connection.
type Stay struct {
	SID      string
	From, To time.Time
}

// stays are the stays of one process, in their order.
type stays struct {
	mu   sync.Mutex
	list []Stay
}

// note adds that the caller is in the room.
func (s *stays) note(sid string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.list) - 1; last >= 0 && s.list[last].SID == sid && now.Sub(s.list[last].To) < Silence {
		s.list[last].To = now
		return
	}
	s.list = append(s.list, Stay{SID: sid, From: now, To: now})
}

func (s *stays) all() []Stay {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

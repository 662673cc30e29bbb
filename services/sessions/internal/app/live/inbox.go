package live

import (
	"sync"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// maxInbox is how many tidings wait for a user's stream; where more come, it reads the log.
const maxInbox = 32

// tiding is one of two: what a commit added, or what a sweep found.
type tiding struct {
	added ports.Appended
	sweep *sweepFound
}

// sweepFound is where the user's sessions with something newer than since ended at one moment.
type sweepFound struct {
	ends        map[string]int64
	since, asOf time.Time
}

// inbox holds tidings for a user's stream, in order.
type inbox struct {
	signal chan struct{}

	mu      sync.Mutex
	tidings []tiding
	missed  bool // more came than fit in
	resting *UserStream
}

func newInbox() *inbox { return &inbox{signal: make(chan struct{}, 1)} }

func (b *inbox) put(added ports.Appended) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(tiding{added: added})
}

func (b *inbox) add(t tiding) {
	if len(b.tidings) < maxInbox {
		b.tidings = append(b.tidings, t)
	} else {
		b.missed = true
	}
	notify(b.signal)
}

// sweep holds a stream that rests to what was found, and wakes it only where it has to read. There are thousands of them each second, and
// for nearly all nothing has happened.
func (b *inbox) sweep(found sweepFound) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.resting == nil || len(b.tidings) > 0 || b.missed:
		b.add(tiding{sweep: &found}) // in its turn
	case b.resting.behind: // It was woken, and will read what this one found as well.
	default:
		if b.resting.compare(found); b.resting.behind {
			notify(b.signal)
		}
	}
}

// rest leaves the stream to sweeps until rise, where nothing waits for it.
func (b *inbox) rest(s *UserStream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tidings) > 0 || b.missed {
		return false
	}
	b.resting = s
	return true
}

func (b *inbox) rise() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resting = nil
}

// take empties the box.
func (b *inbox) take() (tidings []tiding, missed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tidings, missed = b.tidings, b.missed
	b.tidings, b.missed = nil, false
	return tidings, missed
}

package live

import (
	"slices"
	"sync"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// What is kept of a session that is watched.
const (
	maxRing      = 64        // entries
	maxRingBytes = 128 << 10 // of their JSON
)

// watch is a session that streams of this replica follow.
type watch struct {
	mu      sync.Mutex
	ring    []ports.Logged // the newest, without gaps
	size    int            // bytes of the ring
	fresh   bool           // something was added since the last sweep
	end     int64          // of the log, as far as it is known; 0: not yet
	gone    bool           // the session was deleted
	signals []chan struct{}
}

func (w *watch) join(signal chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signals = append(w.signals, signal)
}

// leave returns how many are left.
func (w *watch) leave(signal chan struct{}) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.signals = slices.DeleteFunc(w.signals, func(s chan struct{}) bool { return s == signal })
	return len(w.signals)
}

// add takes entries without gaps between them. What is there already is passed over; before a gap everything is dropped.
func (w *watch) add(entries []ports.Logged) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, entry := range entries {
		if entry.Seq <= w.end && len(w.ring) > 0 && entry.Seq <= w.ring[len(w.ring)-1].Seq {
			continue
		}
		if len(w.ring) > 0 && entry.Seq != w.ring[len(w.ring)-1].Seq+1 {
			w.ring, w.size = nil, 0
		}
		w.ring, w.size, w.fresh = append(w.ring, entry), w.size+len(entry.JSON), true
		w.end = max(w.end, entry.Seq)
	}
	for len(w.ring) > maxRing || (w.size > maxRingBytes && len(w.ring) > 1) {
		w.size -= len(w.ring[0].JSON)
		w.ring[0] = ports.Logged{} // the array behind lives on
		w.ring = w.ring[1:]
	}
	w.wake()
}

// reaches notes that the log holds at least so many events.
func (w *watch) reaches(end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if end > w.end {
		w.end = end
		w.wake()
	}
}

// lost notes that the session is no more.
func (w *watch) lost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	w.wake()
}

// rest drops the entries where nothing was added for a while: who has not taken them reads the log.
func (w *watch) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fresh {
		w.ring, w.size = nil, 0
	}
	w.fresh = false
}

func (w *watch) wake() {
	for _, signal := range w.signals {
		notify(signal)
	}
}

// after returns what comes behind a place: entries that are at hand; or none, and behind tells whether the log holds some.
func (w *watch) after(seq int64) (entries []ports.Logged, behind, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ring) > 0 && w.ring[0].Seq <= seq+1 && w.ring[len(w.ring)-1].Seq > seq {
		return slices.Clone(w.ring[seq+1-w.ring[0].Seq:]), false, w.gone
	}
	return nil, seq < w.end, w.gone
}

// notify leaves a sign where none is.
func notify(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

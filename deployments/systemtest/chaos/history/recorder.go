package history

import (
	"sync"
	"time"
)

// Recorder takes a history down. It may be used by several goroutines at once.
type Recorder struct {
	mu sync.Mutex
	h  History
}

// NewRecorder begins a history now.
func NewRecorder() *Recorder {
	return &Recorder{h: History{
		Began: time.Now(), Sessions: map[string]*Session{}, Quarantined: map[string]string{}, Lanes: map[Lane]int{},
		Contended: map[Lane]time.Duration{},
	}}
}

// Now is the time since the begin.
func (r *Recorder) Now() time.Duration { return time.Since(r.h.Began) }

// Note adds something to the history.
func (r *Recorder) Note(add func(h *History)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.h)
}

// Operation adds an attempt.
func (r *Recorder) Operation(o Operation) {
	r.Note(func(h *History) { h.Operations = append(h.Operations, o) })
}

// Made adds a session.
func (r *Recorder) Made(id, owner string, setting Setting) {
	r.Note(func(h *History) { h.Sessions[id] = &Session{Owner: owner, Setting: setting} })
}

// Read lets the history be read while nobody adds to it.
func (r *Recorder) Read(read func(h *History)) { r.Note(read) }

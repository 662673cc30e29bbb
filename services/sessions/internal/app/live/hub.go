package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// What keeps a stream from being opened.
var (
	// ErrTooManyStreams: the user has MaxStreams open at this replica.
	ErrTooManyStreams = errors.New("the user has too many streams open")
	// ErrDraining: this replica is stopping; another one serves.
	ErrDraining = errors.New("this replica is stopping")
)

// MaxStreams is how many streams a user may have open at a replica.
const MaxStreams = 10

const (
	fetching    = 4                // goroutines that read what hints tell of
	waitingFor  = 1024             // hints that wait for them; more are lost to the sweep
	readTimeout = 10 * time.Second // of what the hub reads itself
)

// Hub passes what is logged on to the streams of this replica. Run keeps it going; until then it only takes what the own store adds.
type Hub struct {
	journal ports.Journal
	log     *slog.Logger
	drained chan struct{} // closed when streams are to end
	hints   chan ports.Hint
	swept   chan struct{} // asks for a sweep at once
	dropped atomic.Int64  // hints

	mu       sync.Mutex
	sessions map[string]*watch
	users    map[string]*audience
	count    int // of open streams
	draining bool
}

// audience is a user's streams.
type audience struct {
	open    int // of both kinds
	inboxes []*inbox
}

// NewHub returns a hub that reads from journal.
func NewHub(journal ports.Journal, log *slog.Logger) *Hub {
	return &Hub{
		journal: journal, log: log, drained: make(chan struct{}), hints: make(chan ports.Hint, waitingFor), swept: make(chan struct{}, 1),
		sessions: map[string]*watch{}, users: map[string]*audience{},
	}
}

// Publish takes what a commit added. It does not wait.
func (h *Hub) Publish(added ports.Appended) {
	if len(added.Entries) == 0 {
		return
	}
	h.mu.Lock()
	watched := h.sessions[added.SessionID]
	var inboxes []*inbox
	for _, user := range added.Users {
		if a := h.users[user]; a != nil {
			inboxes = append(inboxes, a.inboxes...)
		}
	}
	h.mu.Unlock()
	if watched != nil {
		watched.add(added.Entries)
	}
	for _, box := range inboxes {
		box.put(added)
	}
}

// Hinted takes another replica's word that a log has grown. It does not wait; nothing is read where nobody here follows.
func (h *Hub) Hinted(hint ports.Hint) {
	if !h.follows(hint) {
		return
	}
	select {
	case h.hints <- hint:
	default:
		h.dropped.Add(1) // the sweep finds it
	}
}

// Open returns how many streams are open.
func (h *Hub) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// Dropped returns how many hints came that were left to the sweep.
func (h *Hub) Dropped() int64 { return h.dropped.Load() }

func (h *Hub) follows(hint ports.Hint) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[hint.SessionID] != nil {
		return true
	}
	for _, user := range hint.Users {
		if a := h.users[user]; a != nil && len(a.inboxes) > 0 {
			return true
		}
	}
	return false
}

// Sweep has everything looked at soon, as after hints were lost.
func (h *Hub) Sweep() {
	select {
	case h.swept <- struct{}{}:
	default:
	}
}

// Drain ends all streams, and lets no new one begin.
func (h *Hub) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.draining {
		h.draining = true
		close(h.drained)
	}
}

// Run reads what hints tell of, and sweeps, until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	var running sync.WaitGroup
	for range fetching {
		running.Go(func() { h.fetch(ctx) })
	}
	h.sweeps(ctx)
	running.Wait()
}

func (h *Hub) fetch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case hint := <-h.hints:
			h.follow(ctx, hint)
		}
	}
}

// follow reads what a hint tells of. What fails is left to the sweep.
func (h *Hub) follow(ctx context.Context, hint ports.Hint) {
	limit := hint.Last - hint.First + 1
	if limit < 1 || limit > maxRing || hint.First < 1 {
		h.Sweep()
		return
	}
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	entries, err := h.journal.Read(reading, hint.SessionID, hint.First-1, int(limit))
	if err != nil {
		if ctx.Err() == nil {
			h.log.WarnContext(ctx, "what another replica logged can't be read, the next sweep tries again", slog.Any("error", err))
		}
		return
	}
	h.Publish(ports.Appended{SessionID: hint.SessionID, Users: hint.Users, Entries: entries})
}

// admit counts a stream of the user. release is to be called when it ends.
func (h *Hub) admit(user string) (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	a := h.users[user]
	if a == nil {
		a = &audience{}
		h.users[user] = a
	}
	if a.open >= MaxStreams {
		return nil, ErrTooManyStreams
	}
	a.open++
	h.count++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.count--
		if a.open--; a.open == 0 {
			delete(h.users, user)
		}
	}, nil
}

// watch has a session watched for a stream that is woken by signal. stop is to be called when it ends.
func (h *Hub) watch(sessionID string, signal chan struct{}) (w *watch, stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w = h.sessions[sessionID]
	if w == nil {
		w = &watch{}
		h.sessions[sessionID] = w
	}
	w.join(signal)
	return w, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if w.leave(signal) == 0 && h.sessions[sessionID] == w {
			delete(h.sessions, sessionID)
		}
	}
}

// receive has what concerns the user put into box. The user has been admitted. stop is to be called when the stream ends, before release.
func (h *Hub) receive(user string, box *inbox) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.users[user]
	a.inboxes = append(a.inboxes, box)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		kept := make([]*inbox, 0, len(a.inboxes))
		for _, other := range a.inboxes {
			if other != box {
				kept = append(kept, other)
			}
		}
		a.inboxes = kept
	}
}

package simulation

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// attempts is how often the provider tries to deliver a webhook: at once, and 1, 2, 4 and 8 s
// later.
const attempts = 5

// webhooks delivers what the provider tells: in order per room, and what isn't lost once or more
// often.
type webhooks struct {
	mu        sync.Mutex
	made      int
	queues    map[string]*queue        // by the room's sid
	lost      map[string]bool          // rooms, by name, of which no webhook comes
	late      map[string]time.Duration // how long webhooks are on their way, by the room's name
	held      map[string]bool          // rooms, by sid, whose webhooks wait
	last      map[string]string        // the newest sid of each room, by name
	delivered []ports.Webhook
}

// queue is the webhooks of one room.
type queue struct {
	waiting []sent
	tries   int       // of the first one
	next    time.Time // of the first one, where it was refused
}

// sent is a webhook on its way.
type sent struct {
	ports.Webhook
	arrives time.Time
}

// due is when the first webhook comes.
func (q *queue) due() time.Time { return latest(q.next, q.waiting[0].arrives) }

func newWebhooks() *webhooks {
	return &webhooks{
		queues: map[string]*queue{}, lost: map[string]bool{}, late: map[string]time.Duration{}, held: map[string]bool{},
		last: map[string]string{},
	}
}

// hear sends a fact about a room.
func (h *webhooks) hear(name, sid string, fact domain.Fact) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last[name] = sid
	if h.lost[name] {
		return
	}
	if h.queues[sid] == nil {
		h.queues[sid] = &queue{}
	}
	h.made++
	h.queues[sid].waiting = append(h.queues[sid].waiting, sent{arrives: time.Now().Add(h.late[name]), Webhook: ports.Webhook{
		ID: fmt.Sprintf("EV_%04d", h.made), Kind: fmt.Sprintf("%T", fact), RoomName: name, Fact: fact,
	}})
}

// lose has the webhooks of a room lost from now on.
func (h *webhooks) lose(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost[name] = true
}

// delay has the webhooks of a room come so much later from now on.
func (h *webhooks) delay(name string, by time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late[name] = by
}

// hold has the webhooks of the room that has the name now wait.
func (h *webhooks) hold(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sid := h.last[name]; sid != "" {
		h.held[sid] = true
	}
}

// prompt has all webhooks come at once from now on, those that waited first.
func (h *webhooks) prompt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.lost)
	clear(h.late)
	clear(h.held)
	for _, q := range h.queues {
		for n := range q.waiting {
			q.waiting[n].arrives = time.Now()
		}
	}
}

// repeat has one of the last webhooks come once more, under its id or another one.
func (h *webhooks) repeat(name string, back int, anew bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := slices.DeleteFunc(slices.Clone(h.delivered), func(w ports.Webhook) bool { return w.RoomName != name })
	if len(of) == 0 {
		return
	}
	again := of[len(of)-1-back%len(of)]
	if anew {
		h.made++
		again.ID = fmt.Sprintf("EV_%04d", h.made)
	}
	h.queues[again.ID] = &queue{waiting: []sent{{Webhook: again}}}
}

// deliver has the webhooks come that are due.
func (h *webhooks) deliver(take func(ports.Webhook) error) {
	for {
		sid, w, found := h.first()
		if !found {
			return
		}
		h.answered(sid, w, take(w))
	}
}

// next is when a webhook is to come; zero where none is.
func (h *webhooks) next() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	var next time.Time
	for sid, q := range h.queues {
		if h.held[sid] || len(q.waiting) == 0 {
			continue
		}
		if at := latest(q.due(), time.Now()); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// latest returns the later time.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (h *webhooks) first() (string, ports.Webhook, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sid := range sorted(h.queues) {
		if q := h.queues[sid]; !h.held[sid] && len(q.waiting) > 0 && !q.due().After(time.Now()) {
			return sid, q.waiting[0].Webhook, true
		}
	}
	return "", ports.Webhook{}, false
}

func (h *webhooks) answered(sid string, w ports.Webhook, refused error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queues[sid]
	if refused != nil && q.tries+1 < attempts {
		q.next = time.Now().Add(time.Second << q.tries)
		q.tries++
		return
	}
	q.waiting, q.tries, q.next = q.waiting[1:], 0, time.Time{}
	if refused == nil {
		h.delivered = append(h.delivered, w)
	}
}

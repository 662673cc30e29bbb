package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Clock is a clock that stands still between calls of Advance.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now.UTC()} }

// Now implements ports.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance puts the clock forward.
func (c *Clock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// IDs makes real ids.
type IDs struct{}

// NewID implements ports.IDs.
func (IDs) NewID() (string, error) { return events.NewID() }

// Counters counts in memory.
type Counters struct {
	mu     sync.Mutex
	counts map[string]int
}

// EventTaken implements ports.Counters.
func (c *Counters) EventTaken(decision, reason string) { c.add(decision+"/"+reason, 1) }

// EmissionRefused implements ports.Counters.
func (c *Counters) EmissionRefused(kind string) { c.add("refused/"+kind, 1) }

// ActivationDeadline implements ports.Counters.
func (c *Counters) ActivationDeadline(outcome string) { c.add("deadline/"+outcome, 1) }

// Deleted implements ports.Counters.
func (c *Counters) Deleted(kind string, count int) { c.add("deleted/"+kind, count) }

func (c *Counters) add(what string, count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what] += count
}

// Count returns how often it was counted.
func (c *Counters) Count(decision, reason string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[decision+"/"+reason]
}

// Tokens issues tokens that open nothing, or fails with Err.
type Tokens struct {
	Err      error
	mu       sync.Mutex
	requests []ports.TokenRequest
}

// Issue implements ports.MediaTokens.
func (t *Tokens) Issue(ctx context.Context, request ports.TokenRequest) (ports.Token, error) {
	if err := ctx.Err(); err != nil {
		return ports.Token{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = append(t.requests, request)
	if t.Err != nil {
		return ports.Token{}, t.Err
	}
	device := "default"
	if request.DeviceID != nil {
		device = *request.DeviceID
	}
	return ports.Token{
		Provider: events.ProviderLiveKit, URL: "ws://127.0.0.1:7880", Secret: commands.NewJoinToken("memory"),
		RoomName: "call-" + request.SessionID, Identity: request.UserID + "#" + device, ExpiresAt: request.RequestedAt.Add(request.TTL),
	}, nil
}

// Presence tells of every call the same, as Show has set it; nobody, before.
type Presence struct {
	mu    sync.Mutex
	shown ports.CallPresence
	err   error
	asked []string
}

// Show sets what is told from now on.
func (p *Presence) Show(shown ports.CallPresence, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown, p.err = shown, err
}

// Ask implements ports.MediaPresence.
func (p *Presence) Ask(ctx context.Context, sessionID string, _ int64) (ports.CallPresence, error) {
	if err := ctx.Err(); err != nil {
		return ports.CallPresence{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, sessionID)
	return p.shown, p.err
}

// Asked returns the sessions that were asked about, in order.
func (p *Presence) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Requests returns what was asked for.
func (t *Tokens) Requests() []ports.TokenRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var (
	_ ports.Activations = (*Timers)(nil)
	_ ports.Retention   = (*Timers)(nil)
)

// Timers is what becomes due in a store, by the given clock.
type Timers struct {
	store *Store
	clock *Clock

	mu    sync.Mutex
	waits map[string]wait // by session
}

type wait struct {
	from   time.Time // the timeout counts from here
	claims int
}

// NewTimers returns the timers of a store. A session waits from its creation on.
func NewTimers(store *Store, clock *Clock) *Timers {
	return &Timers{store: store, clock: clock, waits: map[string]wait{}}
}

// ClaimOverdue implements ports.Activations.
func (t *Timers) ClaimOverdue(ctx context.Context, timeout time.Duration, limit int, lease time.Duration) ([]ports.OverdueActivation, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var claimed []ports.OverdueActivation
	for _, s := range t.waiting() {
		held := t.of(s)
		if len(claimed) == limit || t.clock.Now().Before(held.from.Add(timeout)) {
			break
		}
		held = wait{from: t.clock.Now().Add(lease - timeout), claims: held.claims + 1}
		t.waits[s.ID] = held
		claimed = append(claimed, ports.OverdueActivation{SessionID: s.ID, SessionVersion: s.Version, Provider: s.Provider, Claims: held.claims})
	}
	return claimed, nil
}

// Postpone implements ports.Activations.
func (t *Timers) Postpone(ctx context.Context, overdue ports.OverdueActivation, timeout, after time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if held, there := t.waits[overdue.SessionID]; there && held.claims == overdue.Claims {
		held.from = t.clock.Now().Add(after - timeout)
		t.waits[overdue.SessionID] = held
	}
	return ctx.Err()
}

// NextOverdue implements ports.Activations.
func (t *Timers) NextOverdue(ctx context.Context, timeout time.Duration) (time.Duration, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.waiting()
	if len(waiting) == 0 || ctx.Err() != nil {
		return 0, false, ctx.Err()
	}
	return max(0, t.of(waiting[0]).from.Add(timeout).Sub(t.clock.Now())), true, nil
}

// waiting returns the sessions that wait, the longest first.
func (t *Timers) waiting() []domain.Snapshot {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	var list []domain.Snapshot
	for _, kept := range t.store.sessions {
		if kept.snapshot.Status == events.StatusCreated {
			list = append(list, kept.snapshot)
		}
	}
	slices.SortFunc(list, func(a, b domain.Snapshot) int {
		return cmp.Or(t.of(a).from.Compare(t.of(b).from), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func (t *Timers) of(s domain.Snapshot) wait {
	if held, there := t.waits[s.ID]; there {
		return held
	}
	return wait{from: s.CreatedAt}
}

// DeleteFinal implements ports.Retention.
func (t *Timers) DeleteFinal(ctx context.Context, age time.Duration, limit int) (int, error) {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	deleted := 0
	for id, kept := range t.store.sessions {
		ended := kept.snapshot.EndedAt
		if ctx.Err() != nil || deleted == limit || ended == nil || !ended.Before(t.clock.Now().Add(-age)) {
			continue
		}
		delete(t.store.sessions, id)
		maps.DeleteFunc(t.store.checkpoints, func(name ports.CheckpointName, _ checkpoint) bool { return name.SessionID == id })
		t.store.quarantine = slices.DeleteFunc(t.store.quarantine, func(q ports.Quarantined) bool { return q.Event.SessionID == id })
		deleted++
	}
	return deleted, ctx.Err()
}

// DeleteStrayQuarantine implements ports.Retention.
func (t *Timers) DeleteStrayQuarantine(ctx context.Context, age time.Duration, limit int) (int, error) {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	deleted := 0
	t.store.quarantine = slices.DeleteFunc(t.store.quarantine, func(q ports.Quarantined) bool {
		_, here := t.store.sessions[q.Event.SessionID]
		stray := ctx.Err() == nil && deleted < limit && !here && q.At.Before(t.clock.Now().Add(-age))
		if stray {
			deleted++
		}
		return stray
	})
	return deleted, ctx.Err()
}

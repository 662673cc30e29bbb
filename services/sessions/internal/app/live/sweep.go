package live

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	sweepEvery = time.Second
	sweepShare = 10   // a sweep takes at most one part in so many of the time
	sweepBatch = 5000 // sessions or users a statement; many small ones take several times the time of a large one
)

// overlap is how far a user's stream goes back when it is resumed: by more than a transaction may last, so that what commits late is not
// passed over.
const overlap = ports.LongestTransaction + 5*time.Second

// sweeps looks for what no tidings told of, until ctx ends.
func (h *Hub) sweeps(ctx context.Context) {
	var since time.Time // what users' sweeps go back to, by the store's clock
	for {
		began := time.Now()
		next, err := h.sweep(ctx, since)
		if err == nil {
			since = next
		} else if ctx.Err() == nil {
			h.log.WarnContext(ctx, "the logs that streams follow can't be swept, trying again", slog.Any("error", err))
		}
		timer := time.NewTimer(max(sweepEvery, sweepShare*time.Since(began)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-h.swept:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// sweep looks at everything once, and returns what the next sweep of users goes back to.
func (h *Hub) sweep(ctx context.Context, since time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*readTimeout)
	defer cancel()
	if err := h.sweepSessions(ctx); err != nil {
		return since, err
	}
	return h.sweepUsers(ctx, since)
}

func (h *Hub) sweepSessions(ctx context.Context) error {
	watched := map[string]*watch{}
	h.mu.Lock()
	for id, w := range h.sessions {
		watched[id] = w
	}
	h.mu.Unlock()
	var ids []string
	for id, w := range watched {
		w.rest()
		ids = append(ids, id)
	}
	for len(ids) > 0 {
		batch := ids[:min(sweepBatch, len(ids))]
		ids = ids[len(batch):]
		ends, err := h.journal.Ends(ctx, batch)
		if err != nil {
			return fmt.Errorf("sweep sessions: %w", err)
		}
		for _, id := range batch {
			if end, there := ends[id]; there {
				watched[id].reaches(end)
			} else {
				watched[id].lost()
			}
		}
	}
	return nil
}

func (h *Hub) sweepUsers(ctx context.Context, since time.Time) (time.Time, error) {
	boxes := map[string][]*inbox{}
	var users []string
	h.mu.Lock()
	for user, a := range h.users {
		if len(a.inboxes) > 0 {
			boxes[user] = a.inboxes
			users = append(users, user)
		}
	}
	h.mu.Unlock()
	if len(users) == 0 {
		return time.Time{}, nil // whoever comes later begins anew
	}
	if since.IsZero() {
		now, err := h.journal.Now(ctx)
		if err != nil {
			return since, fmt.Errorf("sweep users: %w", err)
		}
		since = now.Add(-overlap)
	}
	var oldest time.Time
	for len(users) > 0 {
		batch := users[:min(sweepBatch, len(users))]
		users = users[len(batch):]
		found, err := h.journal.UserEnds(ctx, batch, since)
		if err != nil {
			return since, fmt.Errorf("sweep users: %w", err)
		}
		if oldest.IsZero() || found.AsOf.Before(oldest) {
			oldest = found.AsOf
		}
		for _, user := range batch {
			for _, box := range boxes[user] {
				box.sweep(sweepFound{ends: found.Ends[user], since: since, asOf: found.AsOf})
			}
		}
	}
	return oldest.Add(-overlap), nil
}

package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Audit is what a store of this package holds, for those who check it.
type Audit struct{ Store *Store }

var (
	_ ports.Audit      = Audit{}
	_ ports.Quarantine = Audit{}
)

// SessionIDs implements ports.Audit.
func (a Audit) SessionIDs(_ context.Context, after string, limit int) ([]string, error) {
	a.Store.mu.Lock()
	defer a.Store.mu.Unlock()
	ids := slices.Sorted(maps.Keys(a.Store.sessions))
	ids = slices.DeleteFunc(ids, func(id string) bool { return id <= after })
	return ids[:min(limit, len(ids))], nil
}

// Examine implements ports.Audit.
func (a Audit) Examine(_ context.Context, id string, look func(ports.Examined) error) error {
	kept, err := a.copied(id)
	if err != nil {
		return err
	}
	return look(ports.Examined{
		Stored: kept.snapshot, LastSeq: int64(len(kept.log)), LastEventID: kept.log[len(kept.log)-1].Event.EventID,
		Log: func(yield func(ports.LogRow, error) bool) {
			for i, e := range kept.log {
				row := ports.LogRow{
					Seq: int64(i) + 1, EventID: e.Event.EventID, Type: e.Event.Type, Digest: e.Digest, JSON: e.JSON, AppendedAt: e.AppendedAt.UTC(),
				}
				if !yield(row, nil) {
					return
				}
			}
		},
	})
}

// copied returns a session as it is now; what happens to it later is not seen.
func (a Audit) copied(id string) (stored, error) {
	a.Store.mu.Lock()
	defer a.Store.mu.Unlock()
	kept := a.Store.sessions[id]
	if kept == nil {
		return stored{}, domain.ErrNotFound
	}
	return stored{snapshot: kept.snapshot, log: slices.Clone(kept.log)}, nil
}

// ListQuarantined implements ports.Quarantine.
func (a Audit) ListQuarantined(_ context.Context, request ports.QuarantineRequest) ([]ports.SetAside, error) {
	list := []ports.SetAside{}
	for _, q := range slices.Backward(a.Store.Quarantine()) {
		if request.SessionID != "" && q.Event.SessionID != request.SessionID {
			continue
		}
		list = append(list, ports.SetAside{
			SessionID: q.Event.SessionID, EventID: q.Event.EventID, Type: q.Event.Type, Reason: q.Reason, Detail: q.Detail, At: q.At.UTC(),
		})
	}
	slices.SortStableFunc(list, func(a, b ports.SetAside) int { return b.At.Compare(a.At) })
	return list[:min(request.Limit, len(list))], nil
}

package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// deleteOrphans has the rooms deleted that live although their calls are over. Rooms of others are
// never touched. It is no part of the pass: what fails here is tried with the next one.
func (r *Reconcile) deleteOrphans(ctx context.Context) {
	names, err := r.Media.Rooms(ctx)
	if err == nil {
		err = r.requestDeletions(ctx, names)
	}
	if err != nil && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "rooms of calls that are over can't be looked for, trying again with the next comparison", slog.Any("error", err))
	}
}

func (r *Reconcile) requestDeletions(ctx context.Context, names []string) error {
	for len(names) > 0 {
		some := names[:min(len(names), orphanPage)]
		names = names[len(some):]
		sessions, err := r.Survey.OrphanRooms(ctx, some)
		if err != nil {
			return fmt.Errorf("looking for rooms of calls that are over: %w", err)
		}
		for _, id := range sessions {
			var change ports.Change
			err := r.Mappings.ChangeSession(ctx, id, func(m domain.Mapping) (ports.Change, error) {
				change = ports.Change{Mapping: m, DeleteRoom: m.Over(), Noticed: true}
				return change, nil
			})
			if err != nil {
				return fmt.Errorf("having a room deleted: %w", err)
			}
			announce(r.Tally, r.Nudges, change)
		}
	}
	return nil
}

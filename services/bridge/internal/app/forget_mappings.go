package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	// mappingsKept is how long the mapping of a final session stays, so that whatever comes late still finds it final. The longest token
	// lives an hour, and events of a session that are older than this are long consumed or looked at by people.
	mappingsKept  = 7 * 24 * time.Hour
	mappingsBatch = 100
)

// ForgetMappings removes the mappings of sessions that ended long ago.
type ForgetMappings struct {
	Mappings ports.OldMappings
	Now      func() time.Time
	Log      *slog.Logger
	Every    time.Duration
}

// Run works until ctx ends.
func (f ForgetMappings) Run(ctx context.Context) {
	for {
		if err := f.Do(ctx); err != nil && ctx.Err() == nil {
			f.Log.WarnContext(ctx, "old mappings can't be removed, trying again later", slog.Any("error", err))
		}
		timer := time.NewTimer(f.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// Do removes, in small transactions, all that are too old.
func (f ForgetMappings) Do(ctx context.Context) error {
	before := f.Now().Add(-mappingsKept)
	for {
		forgotten, err := f.Mappings.ForgetMappings(ctx, before, mappingsBatch)
		if err != nil {
			return fmt.Errorf("forgetting mappings: %w", err)
		}
		if forgotten < mappingsBatch {
			return nil
		}
	}
}

package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	receiptsKept  = 7 * 24 * time.Hour // the provider gives up after seconds; people may look for longer
	receiptsBatch = 1000

	// mappingsKept is how long the mapping of a final session stays, so that whatever comes late still finds it final. The longest token
	// lives an hour, and events of a session that are older than this are long consumed or looked at by people.
	mappingsKept  = 7 * 24 * time.Hour
	mappingsBatch = 100
)

// Forget removes what nobody needs any more once it is old enough.
type Forget struct {
	what   string // for people
	kept   time.Duration
	batch  int
	forget func(ctx context.Context, before time.Time, limit int) (int, error)

	Now   func() time.Time
	Log   *slog.Logger
	Every time.Duration
}

// ForgetReceipts removes the records of webhooks that can't come again.
func ForgetReceipts(r ports.Receipts, now func() time.Time, log *slog.Logger, every time.Duration) Forget {
	return Forget{what: "receipts", kept: receiptsKept, batch: receiptsBatch, forget: r.ForgetReceipts, Now: now, Log: log, Every: every}
}

// ForgetMappings removes the mappings of sessions that ended long ago.
func ForgetMappings(m ports.OldMappings, now func() time.Time, log *slog.Logger, every time.Duration) Forget {
	return Forget{what: "mappings", kept: mappingsKept, batch: mappingsBatch, forget: m.ForgetMappings, Now: now, Log: log, Every: every}
}

// Run works until ctx ends.
func (f Forget) Run(ctx context.Context) {
	for {
		if err := f.Do(ctx); err != nil && ctx.Err() == nil {
			f.Log.WarnContext(ctx, "what is old can't be removed, trying again later", slog.String("what", f.what), slog.Any("error", err))
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

// Do removes, in small transactions, all that is too old.
func (f Forget) Do(ctx context.Context) error {
	before := f.Now().Add(-f.kept)
	for {
		forgotten, err := f.forget(ctx, before, f.batch)
		if err != nil {
			return fmt.Errorf("forgetting %s: %w", f.what, err)
		}
		if forgotten < f.batch {
			return nil
		}
	}
}

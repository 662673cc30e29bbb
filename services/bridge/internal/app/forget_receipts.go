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
)

// ForgetReceipts removes the records of webhooks that can't come again.
type ForgetReceipts struct {
	Receipts ports.Receipts
	Now      func() time.Time
	Log      *slog.Logger
	Every    time.Duration
}

// Run works until ctx ends.
func (f ForgetReceipts) Run(ctx context.Context) {
	for {
		if err := f.Do(ctx); err != nil && ctx.Err() == nil {
			f.Log.WarnContext(ctx, "old receipts can't be removed, trying again later", slog.Any("error", err))
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
func (f ForgetReceipts) Do(ctx context.Context) error {
	before := f.Now().Add(-receiptsKept)
	for {
		forgotten, err := f.Receipts.ForgetReceipts(ctx, before, receiptsBatch)
		if err != nil {
			return fmt.Errorf("forgetting receipts: %w", err)
		}
		if forgotten < receiptsBatch {
			return nil
		}
	}
}

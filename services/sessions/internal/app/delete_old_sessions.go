package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	retentionBatch = 50 // sessions, each with a log of any length
	strayBatch     = 500

	minRetentionPause = time.Second
	maxRetentionPause = 10 * time.Minute
)

// DeleteOldSessions removes whole sessions some time after their end. Live ones are never touched, and no log is ever shortened.
type DeleteOldSessions struct {
	Retention ports.Retention
	Counters  ports.Counters
	Log       *slog.Logger
	Keep      time.Duration // after a session's end; 0: for ever
}

// Run works until ctx ends; where everything is kept it returns at once.
func (d DeleteOldSessions) Run(ctx context.Context) {
	if d.Keep == 0 {
		return
	}
	pause := min(max(d.Keep/10, minRetentionPause), maxRetentionPause)
	for {
		if err := d.Do(ctx); err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "old sessions can't be deleted, trying again", slog.Any("error", err), slog.Duration("in", pause))
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// Do removes, in small transactions, all that is too old. Replicas that do it at once share the work.
func (d DeleteOldSessions) Do(ctx context.Context) error {
	sessions, err := drained(ctx, d.Keep, retentionBatch, d.Retention.DeleteFinal)
	d.Counters.Deleted("sessions", sessions)
	if err != nil {
		return fmt.Errorf("deleting old sessions: %w", err)
	}
	strays, err := drained(ctx, d.Keep, strayBatch, d.Retention.DeleteStrayQuarantine)
	d.Counters.Deleted("quarantine", strays)
	if err != nil {
		return fmt.Errorf("deleting quarantined events of deleted sessions: %w", err)
	}
	if sessions+strays > 0 {
		d.Log.InfoContext(ctx, "old sessions were deleted", slog.Int("sessions", sessions), slog.Int("quarantined_events", strays))
	}
	return nil
}

// drained calls remove until it finds less than a batch, and returns how many were removed.
func drained(
	ctx context.Context, age time.Duration, batch int, remove func(ctx context.Context, age time.Duration, limit int) (int, error),
) (int, error) {
	total := 0
	for {
		removed, err := remove(ctx, age, batch)
		total += removed
		if err != nil || removed < batch {
			return total, err
		}
	}
}

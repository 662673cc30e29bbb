package ports

import (
	"context"
	"time"
)

// CheckpointName says whose checkpoint of which session is meant.
type CheckpointName struct {
	SessionID string
	Principal string
	Consumer  string // of the principal's own choice
}

// Checkpoint is how far a consumer has come in a session's log, as it has said itself.
type Checkpoint struct {
	EventID   string
	UpdatedAt time.Time // UTC, by the store's clock
}

// Checkpoints keeps checkpoints. They only go forward, in the order of the log, whoever writes first. Every method may return
// ErrUnavailable. Safe for concurrent use.
type Checkpoints interface {
	// AdvanceCheckpoint moves the checkpoint to an event, and returns what is kept then: the event, or one that is further.
	// domain.ErrNotFound where the viewer sees no such session; domain.ErrEventNotFound where its log does not hold the event, and
	// *WatermarkGoneError where that was set aside, so that waiting for it is of no use.
	AdvanceCheckpoint(ctx context.Context, viewer Viewer, name CheckpointName, eventID string) (Checkpoint, error)

	// Checkpoint returns what is kept. domain.ErrNotFound where the viewer sees no such session; domain.ErrNoCheckpoint.
	Checkpoint(ctx context.Context, viewer Viewer, name CheckpointName) (Checkpoint, error)
}

package ports

import (
	"context"
	"errors"
	"time"
)

// ErrClaimLost says that what was claimed is not the caller's any more: the lease is over, or the mapping's windows have changed.
var ErrClaimLost = errors.New("the claim is lost")

// DueWindow is a session in which somebody's time to come back is over. Claim tells who looks after it.
type DueWindow struct {
	SessionID string
	Claim     int64
	Attempts  int // that failed so far
}

// Windows is the list of sessions with open windows, each with the time when the first one ends. It follows from the mappings that are
// stored, survives crashes, and any number of replicas may work on it.
type Windows interface {
	// ClaimWindows takes up to limit sessions whose time has come; nobody else gets them until lease has passed.
	ClaimWindows(ctx context.Context, limit int, lease time.Duration) ([]DueWindow, error)

	// PostponeWindow has a session come up again after the given time, and counts the attempt. A claim that is lost is no error.
	PostponeWindow(ctx context.Context, w DueWindow, after time.Duration) error

	// NextWindow returns how long it is until the next session can be claimed, and false where there is none.
	NextWindow(ctx context.Context) (time.Duration, bool, error)
}

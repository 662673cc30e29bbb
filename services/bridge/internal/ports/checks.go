package ports

import (
	"context"
	"errors"
	"time"
)

// ErrClaimLost says that what was claimed is not the caller's any more: the lease is over, or the
// mapping's next check has changed.
var ErrClaimLost = errors.New("the claim is lost")

// RoomCheck is a session whose room is to be looked at now: a grace period ends, or evidence can't
// be placed otherwise. Claim tells who looks after it.
type RoomCheck struct {
	SessionID string
	Claim     int64
	Attempts  int // that failed so far
}

// RoomChecks is the list of sessions whose rooms are to be looked at, each with the time of the
// next look (domain.Mapping.NextCheckAt). It follows from the mappings that are stored, survives
// crashes, and any number of replicas may work on it.
type RoomChecks interface {
	// ClaimChecks takes up to limit sessions whose time has come; no other call gets them until
	// lease has passed.
	ClaimChecks(ctx context.Context, limit int, lease time.Duration) ([]RoomCheck, error)

	// PostponeCheck has a session come up again after the given time, and counts the attempt. A
	// claim that is lost is no error.
	PostponeCheck(ctx context.Context, c RoomCheck, after time.Duration) error

	// NextCheck returns how long it is until the next session can be claimed, and false where there
	// is none.
	NextCheck(ctx context.Context) (time.Duration, bool, error)
}

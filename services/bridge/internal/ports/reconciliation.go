package ports

import (
	"context"
	"errors"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// ErrLeaseLost says that another replica may compare what is stored with the provider now.
var ErrLeaseLost = errors.New("the lease is lost")

// ReconcileProgress says how often all that is stored was compared with the provider, by any
// replica.
type ReconcileProgress struct {
	Begun     int64         // the number of the pass that was begun last; 0 before the first
	Completed int64         // the number of the pass that was completed last; 0 before the first
	Ago       time.Duration // since the last one was completed; meaningless before the first
}

// ReconcileLease has the replicas compare what is stored with the provider one at a time. It is
// acquired for one pass, whose number is never given twice.
type ReconcileLease interface {
	// AcquireLease begins a pass and returns its number, or 0 where another one is under way or was
	// completed less than every ago. The lease lasts for lease unless it is renewed.
	AcquireLease(ctx context.Context, holder string, every, lease time.Duration) (int64, error)

	// RenewLease has the lease last for lease from now on. ErrLeaseLost: it was over.
	RenewLease(ctx context.Context, holder string, pass int64, lease time.Duration) error

	// ReleaseLease ends the lease, with the pass completed or not. One that was lost is no error,
	// and completes nothing.
	ReleaseLease(ctx context.Context, holder string, pass int64, completed bool) error

	// Progress returns how far the passes are.
	Progress(ctx context.Context) (ReconcileProgress, error)
}

// MappingSurvey reads many mappings, without changing or locking them.
type MappingSurvey interface {
	// ListActive returns up to limit mappings of which the provider may have news, in the order of
	// their sessions' ids and from the one after the given id on: all but those of which nothing
	// can come any more. A room may have people in it before a token was given, or a webhook came.
	ListActive(ctx context.Context, after string, limit int) ([]domain.Mapping, error)

	// ByIDs returns the mappings of sessions, in any order; sessions that are not known are left
	// out.
	ByIDs(ctx context.Context, sessionIDs []string) ([]domain.Mapping, error)

	// OrphanRooms returns which of the rooms belong to calls that are over, by session, unless they
	// are to be deleted already.
	OrphanRooms(ctx context.Context, roomNames []string) ([]string, error)
}

// RoomAnswer is what the provider says of one room: a listing, or the error with which it answers
// for this room, which wraps ErrUnavailable and says nothing of the room.
type RoomAnswer struct {
	Listing domain.Listing
	Err     error
}

// MediaListings is what the provider says of rooms when it is asked.
type MediaListings interface {
	// List asks for rooms by their names. A room that changed while it was asked for is left out.
	// One room's error is that room's only; where the provider answers for none, List returns the
	// error, which wraps ErrUnavailable.
	List(ctx context.Context, roomNames []string) (map[string]RoomAnswer, error)

	// Rooms returns the names of all rooms that there are. Any error wraps ErrUnavailable and is no
	// answer.
	Rooms(ctx context.Context) ([]string, error)
}

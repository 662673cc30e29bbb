package ports

import (
	"context"
	"errors"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// ErrTurnLost says that somebody else may compare what is stored with the provider now.
var ErrTurnLost = errors.New("the turn is lost")

// Passes says how often all that is stored was compared with the provider, by whichever replica.
type Passes struct {
	Begun     int64         // the number of the pass that was begun last; 0 before the first
	Completed int64         // the number of the pass that was completed last; 0 before the first
	Ago       time.Duration // since the last one was completed; meaningless before the first
}

// Turns has the replicas compare what is stored with the provider one at a time. A turn is one pass; its number is never given twice.
type Turns interface {
	// TakeTurn begins a pass and returns its number, or 0 where another one is under way or was completed less than every ago. The turn
	// lasts for lease unless it is kept.
	TakeTurn(ctx context.Context, holder string, every, lease time.Duration) (int64, error)

	// KeepTurn has the turn last for lease from now on. ErrTurnLost: it was over.
	KeepTurn(ctx context.Context, holder string, pass int64, lease time.Duration) error

	// EndTurn ends the turn, with the pass completed or not. One that was lost is no error, and completes nothing.
	EndTurn(ctx context.Context, holder string, pass int64, completed bool) error

	// Passes returns how far the passes are.
	Passes(ctx context.Context) (Passes, error)
}

// Surveys reads many mappings, without changing or locking them.
type Surveys interface {
	// Unsettled returns up to limit mappings of which the provider may tell news, in the order of their sessions' ids and from the one
	// after the given id on: those with somebody who was given a token, unless nothing can come of them any more.
	Unsettled(ctx context.Context, after string, limit int) ([]domain.Mapping, error)

	// Named returns the mappings of sessions, in any order; sessions that are not known are left out.
	Named(ctx context.Context, sessionIDs []string) ([]domain.Mapping, error)

	// Zombies returns which of the rooms belong to calls that are over, by session, unless they are to be deleted already.
	Zombies(ctx context.Context, roomNames []string) ([]string, error)
}

// MediaListings is what the provider says of rooms when it is asked. Any error wraps ErrUnavailable and is no answer.
type MediaListings interface {
	// List asks for rooms by their names. A room that changed while it was asked for is left out.
	List(ctx context.Context, roomNames []string) (map[string]domain.Listing, error)

	// Rooms returns the names of all rooms that there are.
	Rooms(ctx context.Context) ([]string, error)
}

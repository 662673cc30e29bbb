package ports

import (
	"context"
	"time"
)

// RoomDeletion is a room that must go. Generation tells a request from a later one for the same
// room.
type RoomDeletion struct {
	RoomName   string
	Generation int64
	Attempts   int // that failed so far
}

// RoomDeletions is the list of rooms that must go. It survives crashes, and any number of replicas
// may work on it.
type RoomDeletions interface {
	// Claim takes up to limit rooms whose time has come; nobody else gets them until lease has
	// passed.
	Claim(ctx context.Context, limit int, lease time.Duration) ([]RoomDeletion, error)

	// Done takes a room off the list, unless its deletion was asked for again since it was claimed.
	Done(ctx context.Context, d RoomDeletion) error

	// Postpone has a room come up again after the given time, and counts the attempt.
	Postpone(ctx context.Context, d RoomDeletion, after time.Duration) error

	// Failing returns how many rooms are on the list of which so many attempts, or more, have
	// failed.
	Failing(ctx context.Context, attempts int) (int, error)

	// Next returns how long it is until the next room's time comes, and false where there is none.
	Next(ctx context.Context) (time.Duration, bool, error)
}

// MediaRooms are the rooms at the provider.
type MediaRooms interface {
	// Delete puts everybody out of a room and deletes it. Errors: ErrNotFound where the provider
	// says that there is no such room; any other one wraps ErrUnavailable: try again.
	Delete(ctx context.Context, roomName string) error
}

package ports

import (
	"context"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Position is a place in a list of sessions, newest first: behind the session that was created then and has this id.
type Position struct {
	CreatedAt time.Time // UTC, in microseconds
	SessionID string
}

// ListRequest asks for the sessions that a user is a member of.
type ListRequest struct {
	UserID   string
	Statuses []events.Status // only these; none: all
	After    *Position       // nil: from the newest on
	Limit    int             // at least 1
}

// SessionList is a part of a list of sessions.
type SessionList struct {
	Items []View
	Next  *Position // where the list goes on; nil at its end
}

// CursorKeys has the secret by which cursors that were given out are known again.
type CursorKeys interface {
	// CursorKey returns 32 bytes, the same on every replica and after every restart; or ErrUnavailable.
	CursorKey(ctx context.Context) ([]byte, error)
}

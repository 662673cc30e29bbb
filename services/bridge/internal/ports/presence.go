package ports

import (
	"context"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// MediaPresence is who is in the rooms, as the provider itself lists it.
type MediaPresence interface {
	// Connections returns the connections that are in a room or on their way into it; none where
	// the room isn't there. Any error wraps ErrUnavailable and is no answer.
	Connections(ctx context.Context, roomName string) ([]domain.Listed, error)
}

// MappingReader looks at mappings without changing or locking them.
type MappingReader interface {
	// Find returns the mapping of a session, and false where the session isn't known. Errors are
	// those of Mappings.
	Find(ctx context.Context, sessionID string) (domain.Mapping, bool, error)
}

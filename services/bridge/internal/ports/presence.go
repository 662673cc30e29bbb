package ports

import (
	"context"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// MediaPresence is who is in the rooms, as the provider itself lists it.
type MediaPresence interface {
	// Connected returns the identities that are connected to a room or about to be; none where the room isn't there. Any error wraps
	// ErrUnavailable and is no answer.
	Connected(ctx context.Context, roomName string) ([]string, error)
}

// MappingReader looks at mappings without changing or locking them.
type MappingReader interface {
	// Find returns the mapping of a session, and false where the session isn't known. Errors are those of Mappings.
	Find(ctx context.Context, sessionID string) (domain.Mapping, bool, error)
}

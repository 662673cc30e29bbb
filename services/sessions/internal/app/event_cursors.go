package app

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// EventCursors seals moments in users' streams of events. A cursor is good for its user alone, at every replica.
type EventCursors struct{ Keys ports.CursorKeys }

// Of returns what seals the cursors of a user, or ports.ErrUnavailable.
func (c EventCursors) Of(ctx context.Context, userID string) (EventCursor, error) {
	secret, err := c.Keys.CursorKey(ctx)
	if err != nil {
		return EventCursor{}, fmt.Errorf("seal the cursors of a stream: %w", err)
	}
	return EventCursor{cursors{secret: secret, kind: eventsCursor, holder: userID}}, nil
}

// EventCursor seals moments in one user's stream.
type EventCursor struct{ cursors cursors }

// Seal writes a moment, in microseconds.
func (c EventCursor) Seal(moment time.Time) string { return c.cursors.seal(instant(moment)) }

// Open returns the moment that was sealed, or ErrInvalidCursor.
func (c EventCursor) Open(cursor string) (time.Time, error) {
	content, err := c.cursors.open(cursor)
	if err != nil {
		return time.Time{}, err
	}
	if len(content) != instantSize {
		return time.Time{}, ErrInvalidCursor
	}
	micros := int64(binary.BigEndian.Uint64(content)) //nolint:gosec // The bits come back as they went in.
	return time.UnixMicro(micros).UTC(), nil
}

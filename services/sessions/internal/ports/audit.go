package ports

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// LogRow is one event of a log with all that a store keeps of it.
type LogRow struct {
	Seq        int64
	EventID    string
	Type       events.Type
	Digest     domain.Digest
	JSON       json.RawMessage
	AppendedAt time.Time
}

// Examined is a session with its log, both of one moment and as they are stored, whether or not they make sense.
type Examined struct {
	Stored      domain.Snapshot
	LastSeq     int64 // of the log, as the session says
	LastEventID string
	Log         iter.Seq2[LogRow, error] // in order; to be gone through once
}

// Audit reads what a store holds for those who check it. It disturbs nobody who works with the store. Every method may return
// ErrUnavailable.
type Audit interface {
	// SessionIDs returns at most limit ids of sessions in their order, after the given one; "" for the first.
	SessionIDs(ctx context.Context, after string, limit int) ([]string, error)

	// Examine lets look at a session, or returns domain.ErrNotFound. An error of look is returned as it is.
	Examine(ctx context.Context, id string, look func(Examined) error) error
}

// SetAside is what was set aside of an event that made no valid change.
type SetAside struct {
	SessionID string                  `json:"sessionId"`
	EventID   string                  `json:"eventId"`
	Type      events.Type             `json:"type"`
	Reason    domain.QuarantineReason `json:"reason"`
	Detail    string                  `json:"detail"`
	At        time.Time               `json:"quarantinedAt"` // UTC
}

// QuarantineRequest asks for what was set aside.
type QuarantineRequest struct {
	SessionID string // only of this session; "": of all
	Limit     int    // at least 1
}

// Quarantine lists what was set aside.
type Quarantine interface {
	// ListQuarantined returns events that were set aside, the latest first; or ErrUnavailable.
	ListQuarantined(ctx context.Context, request QuarantineRequest) ([]SetAside, error)
}

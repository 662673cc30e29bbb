package ports

import (
	"context"
	"time"
)

// OverdueActivation is a session that nobody has joined in time, claimed by one worker.
type OverdueActivation struct {
	SessionID      string
	SessionVersion int64
	Provider       string
	Claims         int // how often it was claimed, this time included; tells this claim from later ones
}

// Activations is the list of sessions that wait for their first participant. It survives crashes, any number of replicas may work on it, and
// times are the store's own, so that their clocks need not agree. A session leaves it with the transaction that makes it active or final.
// Every method may return ErrUnavailable. Safe for concurrent use.
type Activations interface {
	// ClaimOverdue takes up to limit sessions that have waited for longer than timeout, the longest first; nobody else gets them until lease
	// has passed.
	ClaimOverdue(ctx context.Context, timeout time.Duration, limit int, lease time.Duration) ([]OverdueActivation, error)

	// Postpone has a claimed session come up again when after has passed, with the given timeout. Nothing happens where somebody else has
	// claimed it since, or it waits no more.
	Postpone(ctx context.Context, overdue OverdueActivation, timeout, after time.Duration) error

	// NextOverdue returns how long it is until the next session has waited for longer than timeout, and false where none waits.
	NextOverdue(ctx context.Context, timeout time.Duration) (time.Duration, bool, error)
}

// CallPresence is what the provider's side knows of who is in a call.
type CallPresence struct {
	Connected bool // a member is connected, or connecting, at this moment
	Activated bool // somebody has been in the call; the event that tells so is in the log or on its way
}

// MediaPresence asks who is in a call.
type MediaPresence interface {
	// Ask returns what the provider's side knows, or ErrProviderUnavailable. It answers before the context's deadline. An error is no answer:
	// it never means that nobody is there.
	Ask(ctx context.Context, sessionID string, sessionVersion int64) (CallPresence, error)
}

// Retention removes what is kept no longer, in transactions of at most limit sessions or events. Ages are by the store's clock. Every method
// may return ErrUnavailable. Safe for concurrent use.
type Retention interface {
	// DeleteFinal removes sessions whose end is longer ago than age, each with its whole log, its members and participants, and what was
	// quarantined of it; and returns how many.
	DeleteFinal(ctx context.Context, age time.Duration, limit int) (int, error)

	// DeleteStrayQuarantine removes quarantined events older than age of sessions that are not here, and returns how many.
	DeleteStrayQuarantine(ctx context.Context, age time.Duration, limit int) (int, error)
}

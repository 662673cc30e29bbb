package ports

import "time"

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

// IDs makes new ids.
type IDs interface {
	// NewID returns a UUID version 7 (RFC 9562), lower case, for what starts here.
	NewID() (string, error)
}

// Counters counts what nobody may overlook.
type Counters interface {
	// EventTaken counts an event that came in: what was decided ("appended", "duplicate", "quarantined"), and for the last the reason.
	EventTaken(decision, reason string)

	// ActivationDeadline counts what became of a session whose activation deadline has passed: "due" each time its turn comes, and then
	// "failed", "postponed" or "overtaken".
	ActivationDeadline(outcome string)

	// Deleted counts what was kept long enough: "sessions" or events in "quarantine".
	Deleted(kind string, count int)
}

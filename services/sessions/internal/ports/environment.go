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

	// EmissionRefused counts an event of this service that was refused because it breaks the contract of its type. It is a bug: nothing of
	// what it was about was stored.
	EmissionRefused(kind string)

	// ActivationDeadline counts what became of a session whose activation deadline has passed: "due" each time its turn comes, and then
	// "failed", "postponed" or "overtaken".
	ActivationDeadline(outcome string)

	// Deleted counts what was kept long enough: "sessions" or events in "quarantine".
	Deleted(kind string, count int)
}

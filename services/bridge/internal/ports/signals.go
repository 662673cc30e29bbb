package ports

import "time"

// Tally counts what happens, for the operators.
type Tally interface {
	Webhook(kind, outcome string)     // a genuine webhook, and what became of it
	Refused(reason string)            // a request to the webhook's address that is not a genuine webhook
	Token(outcome string)             // a token command, and "issued" or why not
	Presence(outcome string)          // a presence command, and "connected", "activated", "nobody" or why it wasn't answered
	SessionEvent(kind string)         // an event of a session that was taken in
	RoomDeletion(outcome string)      // an attempt to delete a room
	Enforcement(kind, outcome string) // an attempt to tell the provider of a participant's "removal" or "role"
	Window(outcome string)            // an attempt to end the windows of a session whose time is over
	Reconciliation(outcome string)    // a pass over all rooms, and "completed" or "given_up"
	Reconciled(ago time.Duration)     // how long ago the last pass was completed, by whichever replica
	RoomsUnanswered(n int)            // for how many rooms the provider gave no answer when it was last asked
	RoomsUndeleted(n int)             // how many rooms can't be deleted, after several attempts
	ClockOffset(d time.Duration)      // how far the provider's clock is ahead of ours
	Difference(kind string)           // a canonical event that was made because a listing showed what no webhook had told
	EventMade(kind string)            // a canonical event that was stored for publishing
	EmissionRefused(kind string)      // a canonical event that breaks its contract; a bug, and nothing was stored
	ProviderReachable(reachable bool) // what the last probe of the provider found
}

// Nudges tell work in the background that there is something to do. They return at once; one that
// is lost only costs the time until the next poll.
type Nudges struct {
	DeleteRooms func() // a room must go
	Enforce     func() // the provider must be told of participants
	Expire      func() // windows have opened or changed
}

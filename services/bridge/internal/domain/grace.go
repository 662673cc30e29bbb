package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// ConfirmDelay is how long after an absence, or an answer that nothing is there, the provider must
// say so again for it to count: the provider may be between two connections of one participant.
const ConfirmDelay = 2 * time.Second

// LeaveKind is how a participant left the call who did not come back.
type LeaveKind string

// The ways of leaving.
const (
	InOrder  LeaveKind = "in_order" // on purpose, or nothing is known to the contrary
	Lost     LeaveKind = "lost"     // by no wish of theirs
	Vanished LeaveKind = "vanished" // together with their room
)

// GracePeriod is the time in which a participant may come back who left neither on purpose nor for
// good.
type GracePeriod struct {
	Reason   events.LeaveReason // why the connection ended, unknown where that was not told
	Leave    LeaveKind          // how they left, should they not come back
	Evidence Evidence           // of the connection's end: Told or Inferred
	Since    time.Time          // when the connection ended
	Deadline time.Time          // the end of the grace period, by the clock of this system
	DeniedAt time.Time          // when the provider last said, on being asked, that the participant isn't there; zero before
}

// Open says whether there is a grace period.
func (g GracePeriod) Open() bool { return !g.Deadline.IsZero() }

// checkAt is when the provider is to be asked for the participant next: early enough for the second
// answer to come at the deadline.
func (g GracePeriod) checkAt() time.Time {
	switch {
	case !g.Open():
		return time.Time{}
	case g.DeniedAt.IsZero():
		return g.Deadline.Add(-ConfirmDelay)
	default:
		return latest(g.Deadline, g.DeniedAt.Add(ConfirmDelay))
	}
}

// outcome is the reason of leaving for a participant who did not come back.
func (g GracePeriod) outcome() events.LeaveReason {
	if g.Leave == InOrder {
		return g.Reason
	}
	return events.LeaveReconnectTimeout
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}

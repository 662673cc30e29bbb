package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// FailureActivationTimeout is the code of the error of a session that nobody has joined in time.
const FailureActivationTimeout = "activation_timeout"

// systemActor is who acts where nobody asked for it.
var systemActor = events.Actor{Type: events.ActorSystem, ID: "sessions"}

// ExpireActivation fails a session that is still waiting for its first participant; any other is left as it is, with no drafts. Whether the
// time has come, and that nobody is in the call, is for the caller to know.
func (s *Session) ExpireActivation(now time.Time) []events.Draft {
	if _, waits := s.next(causeActivationTimeout); !waits {
		return nil
	}
	s.move(causeActivationTimeout, now)
	failure := events.ErrorInfo{Code: FailureActivationTimeout, Message: "Nobody joined the call in time."}
	return s.finish(nil, outcome{failure: &failure}, systemActor, now, now)
}

package domain

import "github.com/callplane/callplane/contracts/events"

// cause is what can move a session from one status to another.
type cause string

const (
	causeConnected         cause = "call.connected"
	causeReconnecting      cause = "call.reconnecting"
	causeReconnected       cause = "call.reconnected"
	causeCompleted         cause = "call.disconnected, completed"
	causeLost              cause = "call.disconnected, reconnect_timeout or provider_failure"
	causeProviderError     cause = "call.error, not retryable"
	causeActivationTimeout cause = "activation deadline passed"
	causeActivate          cause = "a caller sets active" // not for ProviderManaged
	causeEnd               cause = "a caller sets ended"
	causeFail              cause = "a caller sets failed"
)

// transitions is the whole state machine. What is not in it is an invalid transition, and the final
// statuses have no way out.
var transitions = map[events.Status]map[cause]events.Status{
	events.StatusCreated: {
		causeConnected:         events.StatusActive,
		causeActivate:          events.StatusActive,
		causeEnd:               events.StatusEnded,
		causeActivationTimeout: events.StatusFailed,
		causeProviderError:     events.StatusFailed,
	},
	events.StatusActive: {
		causeReconnecting: events.StatusReconnecting,
		causeEnd:          events.StatusEnded,
		causeCompleted:    events.StatusEnded,
		causeLost:         events.StatusFailed,
		causeFail:         events.StatusFailed,
	},
	events.StatusReconnecting: {
		causeReconnected: events.StatusActive,
		causeEnd:         events.StatusEnded,
		causeCompleted:   events.StatusEnded,
		causeLost:        events.StatusFailed,
		causeFail:        events.StatusFailed,
	},
	events.StatusEnded:  {},
	events.StatusFailed: {},
}

// next returns where c leads from the session's status, and whether it leads anywhere.
func (s *Session) next(c cause) (events.Status, bool) {
	to, ok := transitions[s.state.Status][c]
	return to, ok
}

// KnownStatus says whether sessions have such a status.
func KnownStatus(status events.Status) bool {
	_, known := transitions[status]
	return known
}

func final(status events.Status) bool {
	return status == events.StatusEnded || status == events.StatusFailed
}

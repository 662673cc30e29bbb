package domain

import (
	"errors"
	"fmt"
	"strings"

	"github.com/callplane/callplane/contracts/events"
)

// What a caller is told; the transport decides how.
var (
	// ErrNotFound: there is no such session for this caller, whether or not it exists.
	ErrNotFound = errors.New("session not found")
	// ErrForbidden: the caller sees the session (or may use the API), but may not do this.
	ErrForbidden = errors.New("forbidden")
	// ErrSessionFinal: the session has ended or failed, and this would change it.
	ErrSessionFinal = errors.New("the session is final")
	// ErrPreconditionFailed: the session's version is another than the caller expects.
	ErrPreconditionFailed = errors.New("the session has another version")
	// ErrCorrelationMismatch: the provider correlation is already written, with other values.
	ErrCorrelationMismatch = errors.New("the provider correlation is immutable once it is written")
	// ErrProviderManaged: only the provider's facts may do this for the session's provider.
	ErrProviderManaged = errors.New("the provider manages this transition")
	// ErrOwnerImmutable: the owner is a member with role host for as long as the session exists.
	ErrOwnerImmutable = errors.New("the owner can't be removed or demoted")
	// ErrNotAMember: there is no such member in a session that the caller sees.
	ErrNotAMember = errors.New("no member of the session")
	// ErrEventIDConflict: the session's log holds another event with this id.
	ErrEventIDConflict = errors.New("the log holds another event with this id")
	// ErrEventNotFound: the log of a session that the caller sees does not hold this event.
	ErrEventNotFound = errors.New("no such event in the log of the session")
	// ErrNoCheckpoint: the caller has kept no checkpoint for this consumer in a session that they see.
	ErrNoCheckpoint = errors.New("no checkpoint")
	// ErrProviderNotSupported: there is no way to get media from the session's provider here.
	ErrProviderNotSupported = errors.New("the session's provider issues no tokens here")
)

// InvalidTransitionError says that the state machine has no way from one status to the other.
type InvalidTransitionError struct{ From, To events.Status }

func (e *InvalidTransitionError) Error() string {
	return fmt.Sprintf("a session can't go from %s to %s this way", e.From, e.To)
}

// FieldFault is one fault of what a caller gave.
type FieldFault struct {
	Pointer string // RFC 6901, into the request's body
	Code    string
	Message string
}

// InvalidError says everything that is wrong with what a caller gave.
type InvalidError struct{ Faults []FieldFault }

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Pointer + ": " + f.Message
	}
	return "invalid: " + strings.Join(parts, "; ")
}

// The codes of faults.
const (
	FaultRequired   = "required"
	FaultTooLong    = "too_long"
	FaultTooMany    = "too_many"
	FaultTooLarge   = "too_large"
	FaultTooDeep    = "too_deep"
	FaultFormat     = "invalid_format"
	FaultValue      = "invalid_value"
	FaultDuplicate  = "duplicate"
	FaultNotAllowed = "not_allowed"
)

// faults collects what is wrong.
type faults []FieldFault

func (f *faults) add(pointer, code, message string) {
	*f = append(*f, FieldFault{Pointer: pointer, Code: code, Message: message})
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &InvalidError{Faults: f}
}

// CorruptError says that what a store holds is not a possible session.
type CorruptError struct{ SessionID, Invariant string }

func (e *CorruptError) Error() string {
	return fmt.Sprintf("session %s is corrupt: %s", e.SessionID, e.Invariant)
}

package domain

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Precondition is what a caller expects the session's version to be. The zero value expects nothing.
type Precondition struct {
	Given    bool
	Any      bool    // any version will do, as long as the session exists
	Versions []int64 // one of these
}

func (p Precondition) holds(version int64) bool {
	if !p.Given || p.Any {
		return true
	}
	for _, v := range p.Versions {
		if v == version {
			return true
		}
	}
	return false
}

// Patch is a change that a caller asks for; what is nil or absent stays. Metadata is a merge patch
// (RFC 7396), null to reset it.
type Patch struct {
	Status                *events.Status
	EndReason             *string // of a change to ended or failed; without effect where there is none
	Title                 events.Optional[string]
	Metadata              json.RawMessage
	Provider              *string
	ProviderRoomID        *string
	ProviderParticipantID *string
	ProviderCallID        *string
	Expect                Precondition
}

// The end reasons that are given where the caller gives none.
const (
	ReasonCompleted = "completed" // the call took place
	ReasonCancelled = "cancelled" // it ended before anybody connected
)

// failureReported is the error code of a session that a caller declared failed.
const failureReported = "reported"

// Patch changes the session all or nothing, and returns the events of the change. A patch to the
// status already held that changes nothing else is a replay: no error and no events, whatever version
// the caller expects. Errors: *InvalidError, *InvalidTransitionError, ErrPreconditionFailed,
// ErrSessionFinal, ErrCorrelationMismatch, ErrProviderManaged.
func (s *Session) Patch(p Patch, actor events.Actor, now time.Time) ([]events.Draft, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	changes, err := s.changesOf(p)
	if err != nil {
		return nil, err
	}
	if p.Status != nil && *p.Status == s.state.Status && isEmpty(changes) {
		return nil, nil
	}
	if !p.Expect.holds(s.state.Version) {
		return nil, ErrPreconditionFailed
	}
	if err := s.admit(&changes, p); err != nil {
		return nil, err
	}
	if isEmpty(changes) {
		return nil, nil
	}
	updated := events.Draft{
		Timestamp: precise(now),
		Actor:     actor,
		Payload:   events.CallUpdatedPayload{Changes: changes, SessionVersion: s.state.Version + 1},
	}
	drafts := s.record(nil, now, updated)
	if changes.Status != nil && final(*changes.Status) {
		drafts = s.finish(drafts, s.patchOutcome(*changes.Status), actor, precise(now), now)
	}
	return drafts, nil
}

// Check returns everything that is wrong with the patch whatever the session is, as an *InvalidError.
func (p Patch) Check() error {
	var found faults
	if p.Status != nil {
		if _, known := transitions[*p.Status]; !known {
			found.add("/status", FaultValue, "must be created, active, reconnecting, ended or failed")
		}
	}
	found.checkText("/endReason", p.EndReason, events.MaxReason)
	if p.EndReason != nil && (p.Status == nil || !final(*p.Status)) {
		found.add("/endReason", FaultNotAllowed, "goes with status ended or failed only")
	}
	title, _ := p.Title.Get()
	found.checkText("/title", title, events.MaxTitle)
	if p.Provider != nil {
		found.checkProvider("/provider", *p.Provider)
	}
	found.checkProviderID("/providerRoomId", p.ProviderRoomID)
	found.checkProviderID("/providerParticipantId", p.ProviderParticipantID)
	found.checkProviderID("/providerCallId", p.ProviderCallID)
	return found.err()
}

// changesOf returns what p would change, before anybody asks whether it may.
func (s *Session) changesOf(p Patch) (events.Changes, error) {
	var changes events.Changes
	if p.Status != nil && *p.Status != s.state.Status {
		changes.Status = p.Status
	}
	if title, given := p.Title.Get(); given && !same(title, s.state.Title) {
		changes.Title = p.Title
	}
	if p.Metadata != nil {
		merged, err := mergeMetadata(s.state.Metadata, p.Metadata)
		if err != nil {
			return changes, err
		}
		var found faults
		found.checkMetadata(merged)
		if err := found.err(); err != nil {
			return changes, err
		}
		if !sameJSON(merged, s.state.Metadata) {
			changes.Metadata = merged
		}
	}
	held := Correlation{}
	if s.state.Correlation != nil {
		held = *s.state.Correlation
	}
	changes.Provider = differing(p.Provider, s.state.Provider)
	changes.ProviderRoomID = differing(p.ProviderRoomID, held.RoomID)
	changes.ProviderParticipantID = differing(p.ProviderParticipantID, held.ParticipantID)
	changes.ProviderCallID = differing(p.ProviderCallID, held.CallID)
	return changes, nil
}

// admit holds the changes to the rules and completes them.
func (s *Session) admit(changes *events.Changes, p Patch) error {
	if s.Final() {
		if only := (events.Changes{Metadata: changes.Metadata}); !sameChanges(*changes, only) {
			return ErrSessionFinal
		}
		return nil
	}
	if err := s.admitCorrelation(*changes); err != nil {
		return err
	}
	if changes.Status == nil {
		return nil
	}
	switch *changes.Status {
	case events.StatusActive:
		return s.admitActivation(changes)
	case events.StatusEnded:
		return s.admitFinal(changes, causeEnd, s.endReason(p.EndReason))
	case events.StatusFailed:
		return s.admitFinal(changes, causeFail, p.EndReason)
	default:
		return &InvalidTransitionError{From: s.state.Status, To: *changes.Status}
	}
}

func (s *Session) admitCorrelation(changes events.Changes) error {
	ids := changes.ProviderRoomID != nil || changes.ProviderParticipantID != nil || changes.ProviderCallID != nil
	activates := changes.Status != nil && *changes.Status == events.StatusActive
	switch {
	case changes.Provider != nil, ids && s.state.Correlation != nil:
		return ErrCorrelationMismatch
	case s.state.Provider == ProviderManaged && (ids || activates):
		return ErrProviderManaged
	case ids && !activates:
		var found faults
		for pointer, id := range correlationFields(changes) {
			if id != nil {
				found.add(pointer, FaultNotAllowed, "is written together with status active")
			}
		}
		return sorted(found).err()
	}
	return nil
}

func (s *Session) admitActivation(changes *events.Changes) error {
	if _, ok := s.next(causeActivate); !ok {
		return &InvalidTransitionError{From: s.state.Status, To: events.StatusActive}
	}
	var found faults
	for pointer, id := range correlationFields(*changes) {
		if id == nil {
			found.add(pointer, FaultRequired, "is required to activate the session")
		}
	}
	if err := sorted(found).err(); err != nil {
		return err
	}
	provider := s.state.Provider
	changes.Provider = &provider
	return nil
}

func (s *Session) admitFinal(changes *events.Changes, c cause, reason *string) error {
	if _, ok := s.next(c); !ok {
		return &InvalidTransitionError{From: s.state.Status, To: *changes.Status}
	}
	changes.EndReason = reason
	return nil
}

func (s *Session) endReason(given *string) *string {
	reason := ReasonCompleted
	switch {
	case given != nil:
		reason = *given
	case s.state.StartedAt == nil:
		reason = ReasonCancelled
	}
	return &reason
}

// patchOutcome is how the session ended, after the call.updated that says so.
func (s *Session) patchOutcome(status events.Status) outcome {
	if status == events.StatusEnded {
		return outcome{reason: s.state.EndReason}
	}
	message := "The call was reported as failed."
	return outcome{reason: s.state.EndReason, failure: &events.ErrorInfo{Code: failureReported, Message: message}}
}

func correlationFields(c events.Changes) map[string]*string {
	return map[string]*string{
		"/providerRoomId":        c.ProviderRoomID,
		"/providerParticipantId": c.ProviderParticipantID,
		"/providerCallId":        c.ProviderCallID,
	}
}

func isEmpty(c events.Changes) bool { return sameChanges(c, events.Changes{}) }

func sameChanges(a, b events.Changes) bool {
	return a.Status == b.Status && a.EndReason == b.EndReason && a.Title.IsZero() == b.Title.IsZero() &&
		bytes.Equal(a.Metadata, b.Metadata) && a.Provider == b.Provider && a.ProviderRoomID == b.ProviderRoomID &&
		a.ProviderParticipantID == b.ProviderParticipantID && a.ProviderCallID == b.ProviderCallID
}

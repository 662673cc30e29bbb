package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Decision is what becomes of an event that came in.
type Decision int

// The decisions.
const (
	// Append: it is true and new; it goes into the log, and the drafts after it.
	Append Decision = iota + 1
	// Duplicate: the log has it already; nothing happens.
	Duplicate
	// Quarantine: it makes no valid change; it is set aside with the reason.
	Quarantine
)

// QuarantineReason says why an event was set aside.
type QuarantineReason string

// The reasons.
const (
	QuarantineUnknownSession QuarantineReason = "unknown_session"     // no such session here
	QuarantineIDConflict     QuarantineReason = "event_id_conflict"   // the log has other content under this id
	QuarantineTransition     QuarantineReason = "invalid_transition"  // the state machine has no way
	QuarantinePresence       QuarantineReason = "no_presence_change"  // nobody's presence, no track changes by it
	QuarantineFinal          QuarantineReason = "session_final"       // it came after the end and undoes nothing shown
	QuarantineProvider       QuarantineReason = "provider_mismatch"   // of another provider or room than the session's
	QuarantineNotAFact       QuarantineReason = "not_a_provider_fact" // a type that nobody may report to a session
	QuarantineUndecodable    QuarantineReason = "undecodable"         // the payload can't be read as its type
)

// Verdict is the decision about one event.
type Verdict struct {
	Decision Decision
	Reason   QuarantineReason // where it is Quarantine
	Detail   string           // for people
	Drafts   []events.Draft   // where it is Append: what follows from it, after it
}

// Digest identifies an event's content.
type Digest = [32]byte

func quarantined(reason QuarantineReason, format string, args ...any) Verdict {
	return Verdict{Decision: Quarantine, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Observe takes in what a provider reports or a service says: it decides, and where the decision is Append the state
// has changed. logged is the content that the log holds under the event's id, nil where it holds none.
func (s *Session) Observe(fact events.Accepted, logged *Digest, now time.Time) Verdict {
	if logged != nil {
		if *logged == fact.Digest {
			return Verdict{Decision: Duplicate}
		}
		return quarantined(QuarantineIDConflict, "the log holds another event with this id")
	}
	if changesNothing(fact.Type) {
		return Verdict{Decision: Append} // in every status: usage is known, and transcripts are done, after the end
	}
	payload, at, err := decode(fact.Envelope)
	if err != nil {
		return quarantined(QuarantineUndecodable, "%v", err)
	}
	if verdict, ok := s.judge(payload); !ok {
		return verdict
	}
	before := s.state.Status
	s.evolve(payload, at, now)
	verdict := Verdict{Decision: Append}
	if !final(before) && s.Final() {
		verdict.Drafts = s.finish(nil, observedOutcome(payload), fact.Actor, at, now)
	}
	return verdict
}

// judge says whether the fact makes a valid change, or why it doesn't.
func (s *Session) judge(payload events.Payload) (Verdict, bool) {
	if verdict, ok := s.judgeSource(payload); !ok {
		return verdict, false
	}
	if s.Final() && !s.undoes(payload) {
		return quarantined(QuarantineFinal, "the session is %s, and this undoes nothing that its log shows", s.state.Status), false
	}
	switch p := payload.(type) {
	case events.CallConnectingPayload, events.CallErrorPayload:
		return Verdict{}, true // a report; an error that isn't retryable fails a session that nobody is in yet
	case events.CallConnectedPayload:
		return s.judgeTransition(causeConnected)
	case events.CallReconnectingPayload:
		return s.judgeTransition(causeReconnecting)
	case events.CallReconnectedPayload:
		return s.judgeTransition(causeReconnected)
	case events.CallDisconnectedPayload:
		if s.Final() {
			return Verdict{}, true
		}
		return s.judgeTransition(disconnectCause(p))
	default:
		if !s.changesPresence(payload) {
			return quarantined(QuarantinePresence, "it changes nothing: %s of what the session shows otherwise", payload.EventType()), false
		}
		return Verdict{}, true
	}
}

func (s *Session) judgeTransition(c cause) (Verdict, bool) {
	if _, ok := s.next(c); !ok {
		return quarantined(QuarantineTransition, "%s makes no transition from %s", c, s.state.Status), false
	}
	return Verdict{}, true
}

// judgeSource holds the fact to the session's provider and room.
func (s *Session) judgeSource(payload events.Payload) (Verdict, bool) {
	provider, room, fact := sourceOf(payload)
	switch {
	case !fact:
		return quarantined(QuarantineNotAFact, "%s is not a provider's fact", payload.EventType()), false
	case provider != s.state.Provider:
		return quarantined(QuarantineProvider, "it is of provider %s, the session's is %s", provider, s.state.Provider), false
	case room != "" && s.state.Correlation != nil && room != s.state.Correlation.RoomID:
		return quarantined(QuarantineProvider, "it is of another room than the session's"), false
	}
	return Verdict{}, true
}

// undoes says whether the fact takes back something that the log shows: all that a final session
// still takes of call.* events.
func (s *Session) undoes(payload events.Payload) bool {
	switch payload.(type) {
	case events.CallParticipantLeftPayload, events.CallTrackUnpublishedPayload:
		return s.changesPresence(payload)
	case events.CallDisconnectedPayload:
		return s.state.Correlation != nil && !s.state.Disconnected
	}
	return false
}

// changesPresence says whether the fact changes who is present or what is published.
func (s *Session) changesPresence(payload events.Payload) bool {
	switch p := payload.(type) {
	case events.CallParticipantJoinedPayload:
		return s.state.Correlation != nil && s.presence(p.Identity) != PresencePresent
	case events.CallParticipantReconnectingPayload:
		return s.presence(p.Identity) == PresencePresent
	case events.CallParticipantReconnectedPayload:
		return s.presence(p.Identity) == PresenceReconnecting
	case events.CallParticipantLeftPayload:
		presence := s.presence(p.Identity)
		return presence == PresencePresent || presence == PresenceReconnecting
	case events.CallTrackPublishedPayload:
		presence := s.presence(p.Identity)
		return (presence == PresencePresent || presence == PresenceReconnecting) && !s.publishes(p.Identity, p.TrackSID)
	case events.CallTrackUnpublishedPayload:
		return s.publishes(p.Identity, p.TrackSID)
	}
	return false
}

func (s *Session) presence(identity string) Presence {
	if found := s.participant(identity); found != nil {
		return found.Presence
	}
	return ""
}

func (s *Session) publishes(identity, trackSID string) bool {
	found := s.participant(identity)
	return found != nil && slices.Contains(found.OpenTracks, trackSID)
}

// observedOutcome is how a fact that made the session final did so.
func observedOutcome(payload events.Payload) outcome {
	completed := ReasonCompleted
	switch p := payload.(type) {
	case events.CallErrorPayload:
		return outcome{failure: &events.ErrorInfo{Code: p.Code, Message: p.Message}}
	case events.CallDisconnectedPayload:
		switch p.Reason {
		case events.DisconnectReconnectTimeout:
			return outcome{failure: &events.ErrorInfo{Code: string(p.Reason), Message: "The connection was lost, and nobody came back in time."}}
		case events.DisconnectProviderFailure:
			return outcome{failure: &events.ErrorInfo{Code: string(p.Reason), Message: "The media provider lost the call."}}
		case events.DisconnectCompleted:
		}
	}
	return outcome{reason: &completed}
}

package domain

import (
	"errors"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Logged is one event of a session's log, and when it was appended.
type Logged struct {
	Envelope   events.Envelope
	AppendedAt time.Time
}

// Replay makes the session that its whole log describes, in order from the first event on.
func Replay(log []Logged) (*Session, error) {
	if len(log) == 0 || log[0].Envelope.Type != events.CallCreated {
		return nil, errors.New("replaying a log: it doesn't begin with " + string(events.CallCreated))
	}
	s := &Session{state: Snapshot{ID: log[0].Envelope.SessionID}}
	for i, entry := range log {
		payload, at, err := decode(entry.Envelope)
		if err != nil {
			return nil, fmt.Errorf("replaying entry %d of the log of session %s: %w", i+1, s.state.ID, err)
		}
		s.evolve(payload, at, entry.AppendedAt)
	}
	if err := s.checkInvariants(); err != nil {
		return nil, fmt.Errorf("replaying a log: %w", err)
	}
	return s, nil
}

// decode reads an event of the log or of a provider into its Go type.
func decode(e events.Envelope) (events.Payload, time.Time, error) {
	at, err := e.Time()
	if err != nil {
		return nil, time.Time{}, err
	}
	read, known := decoders[e.Type]
	if !known {
		return nil, time.Time{}, fmt.Errorf("no session knows events of type %s", e.Type)
	}
	payload, err := read(e)
	return payload, at, err
}

var decoders = map[events.Type]func(events.Envelope) (events.Payload, error){
	events.CallCreated:                 as[events.CallCreatedPayload],
	events.CallUpdated:                 as[events.CallUpdatedPayload],
	events.CallEnded:                   as[events.CallEndedPayload],
	events.CallFailed:                  as[events.CallFailedPayload],
	events.CallMemberAdded:             as[events.CallMemberAddedPayload],
	events.CallMemberUpdated:           as[events.CallMemberUpdatedPayload],
	events.CallMemberRemoved:           as[events.CallMemberRemovedPayload],
	events.CallConnecting:              as[events.CallConnectingPayload],
	events.CallConnected:               as[events.CallConnectedPayload],
	events.CallReconnecting:            as[events.CallReconnectingPayload],
	events.CallReconnected:             as[events.CallReconnectedPayload],
	events.CallDisconnected:            as[events.CallDisconnectedPayload],
	events.CallParticipantJoined:       as[events.CallParticipantJoinedPayload],
	events.CallParticipantReconnecting: as[events.CallParticipantReconnectingPayload],
	events.CallParticipantReconnected:  as[events.CallParticipantReconnectedPayload],
	events.CallParticipantLeft:         as[events.CallParticipantLeftPayload],
	events.CallTrackPublished:          as[events.CallTrackPublishedPayload],
	events.CallTrackUnpublished:        as[events.CallTrackUnpublishedPayload],
	events.CallError:                   as[events.CallErrorPayload],
}

func as[T events.Payload](e events.Envelope) (events.Payload, error) {
	return events.DecodePayload[T](e)
}

// sourceOf returns the provider and room (where it names one) that a payload speaks of; fact is false
// for what is no provider's report.
func sourceOf(payload events.Payload) (provider, room string, fact bool) {
	var of events.ProviderRoom
	switch p := payload.(type) {
	case events.CallConnectingPayload:
		of = p.ProviderRoom
	case events.CallConnectedPayload:
		of = p.ProviderRoom
	case events.CallReconnectingPayload:
		of = p.ProviderRoom
	case events.CallReconnectedPayload:
		of = p.ProviderRoom
	case events.CallDisconnectedPayload:
		of = p.ProviderRoom
	case events.CallParticipantJoinedPayload:
		of = p.ProviderRoom
	case events.CallParticipantReconnectingPayload:
		of = p.ProviderRoom
	case events.CallParticipantReconnectedPayload:
		of = p.ProviderRoom
	case events.CallParticipantLeftPayload:
		of = p.ProviderRoom
	case events.CallTrackPublishedPayload:
		of = p.ProviderRoom
	case events.CallTrackUnpublishedPayload:
		of = p.ProviderRoom
	case events.CallErrorPayload:
		of.Provider = p.Provider
		if p.RoomName != nil {
			of.RoomName = *p.RoomName
		}
	default:
		return "", "", false
	}
	return of.Provider, of.RoomName, true
}

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
	var r Replayer
	for _, entry := range log {
		if err := r.Add(entry); err != nil {
			return nil, err
		}
	}
	s, err := r.session()
	if err != nil {
		return nil, err
	}
	if err := s.checkInvariants(); err != nil {
		return nil, fmt.Errorf("replaying a log: %w", err)
	}
	return s, nil
}

// Replayer is Replay one event after the other, for logs that are longer than one wants to hold. Its zero value has seen nothing.
type Replayer struct {
	s     *Session
	count int
}

// Add goes on with the next event of the log.
func (r *Replayer) Add(entry Logged) error {
	if r.count == 0 && entry.Envelope.Type != events.CallCreated {
		return errNoBeginning
	}
	if r.count == 0 {
		r.s = &Session{state: Snapshot{ID: entry.Envelope.SessionID}}
	}
	r.count++
	if changesNothing(entry.Envelope.Type) {
		return nil
	}
	payload, at, err := decode(entry.Envelope)
	if err != nil {
		return fmt.Errorf("replaying entry %d of the log of session %s: %w", r.count, r.s.state.ID, err)
	}
	r.s.evolve(payload, at, entry.AppendedAt)
	return nil
}

// Snapshot returns the state that the events so far describe, whether or not it is a possible one.
func (r *Replayer) Snapshot() (Snapshot, error) {
	s, err := r.session()
	if err != nil {
		return Snapshot{}, err
	}
	return s.Snapshot(), nil
}

func (r *Replayer) session() (*Session, error) {
	if r.s == nil {
		return nil, errNoBeginning
	}
	return r.s, nil
}

var errNoBeginning = errors.New("replaying a log: it doesn't begin with " + string(events.CallCreated))

// changesNothing says of which events the log holds what services said of a call, beside its state.
func changesNothing(t events.Type) bool { return events.FamilyOf(t).OfServices() }

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

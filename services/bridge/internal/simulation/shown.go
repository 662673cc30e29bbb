package simulation

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/callplane/callplane/contracts/events"
)

// What the session's log shows of a participant.
const (
	shownPresent      = "present"
	shownReconnecting = "reconnecting"
	shownLeft         = "left"
)

// shown is what a session's log shows of the call, by the rules by which the sessions service takes
// events.
type shown struct {
	status    events.Status
	connected bool // call.connected is in the log
	ended     bool // call.disconnected is
	presence  map[string]string
	tracks    map[string][]string // sids of the open ones, by identity
	digests   map[string][32]byte // by event id
}

func newShown() shown {
	return shown{
		status: events.StatusCreated, presence: map[string]string{}, tracks: map[string][]string{}, digests: map[string][32]byte{},
	}
}

func (s *shown) final() bool { return s.status == events.StatusEnded }

// see follows an event, and says what is wrong with it. The same event once more changes nothing,
// and a session that is final may refuse what undoes nothing.
func (s *shown) see(e events.Sealed) []string {
	envelope := e.Envelope()
	digest, known := s.digests[envelope.EventID]
	if known && digest == e.Digest() {
		return nil
	}
	if known {
		return []string{fmt.Sprintf("the id of %s is that of another event: %s", envelope.Type, envelope.Payload)}
	}
	s.digests[envelope.EventID] = e.Digest()
	who, track := subject(envelope)
	switch {
	case s.allows(envelope.Type, who, track):
		s.follow(envelope.Type, who, track)
	case !s.final():
		return []string{fmt.Sprintf("the log has no place for %s: %s", envelope.Type, envelope.Payload)}
	}
	return nil
}

// allows says whether the log has a place for an event: in a session that is final, only where it
// undoes something that the log shows.
func (s *shown) allows(kind events.Type, who, track string) bool {
	presence, publishes := s.presence[who], slices.Contains(s.tracks[who], track)
	there := presence == shownPresent || presence == shownReconnecting
	allowed, undoes := map[events.Type]bool{
		events.CallParticipantLeft:  there,
		events.CallTrackUnpublished: publishes,
		events.CallDisconnected:     s.connected && !s.ended,
	}[kind]
	if undoes || s.final() {
		return allowed
	}
	allowed, limited := map[events.Type]bool{
		events.CallConnected:               s.status == events.StatusCreated,
		events.CallReconnecting:            s.status == events.StatusActive,
		events.CallReconnected:             s.status == events.StatusReconnecting,
		events.CallParticipantJoined:       s.connected && presence != shownPresent,
		events.CallParticipantReconnecting: presence == shownPresent,
		events.CallParticipantReconnected:  presence == shownReconnecting,
		events.CallTrackPublished:          there && !publishes,
	}[kind]
	return allowed || !limited
}

func (s *shown) follow(kind events.Type, who, track string) {
	switch kind {
	case events.CallConnected:
		s.status, s.connected = events.StatusActive, true
	case events.CallReconnecting:
		s.status = events.StatusReconnecting
	case events.CallReconnected:
		s.status = events.StatusActive
	case events.CallDisconnected:
		s.status, s.ended = events.StatusEnded, true
	case events.CallParticipantJoined, events.CallParticipantReconnected:
		s.presence[who] = shownPresent
	case events.CallParticipantReconnecting:
		s.presence[who] = shownReconnecting
	case events.CallParticipantLeft:
		s.presence[who] = shownLeft
	case events.CallTrackPublished:
		s.tracks[who] = append(s.tracks[who], track)
	case events.CallTrackUnpublished:
		s.tracks[who] = slices.DeleteFunc(s.tracks[who], func(sid string) bool { return sid == track })
	default:
	}
}

// read reads the payload of an event that was sealed, of whatever type it is.
func read[P any](e events.Envelope) P {
	var payload P
	_ = json.Unmarshal(e.Payload, &payload) // It was sealed.
	return payload
}

// subject is whom, and which track, an event is about; "" where it is about none.
func subject(e events.Envelope) (identity, track string) {
	about := read[events.CallTrackPublishedPayload](e)
	return about.Identity, about.TrackSID
}

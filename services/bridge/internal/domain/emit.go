package domain

import (
	"strconv"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// provider is the actor of everything that a provider's fact says.
var provider = events.Actor{Type: events.ActorProvider, ID: events.ProviderLiveKit}

// emit adds an event whose id is made of its type, the session and what names the fact: room,
// participant or track sid, and the episodes of the participant and of the track.
func (t *transition) emit(at time.Time, payload events.Payload, fact ...string) {
	parts := append([]string{string(payload.EventType()), t.s.SessionID}, fact...)
	t.events = append(t.events, Event{
		ID:    events.DerivedID(parts...),
		Draft: events.Draft{Timestamp: at, Actor: provider, Payload: payload},
	})
}

func (t *transition) emitConnecting() {
	t.emit(t.s.ConnectingAt, events.CallConnectingPayload{ProviderRoom: t.room()}, t.s.Room.SID)
}

func (t *transition) emitConnected(p Participant) {
	t.emit(t.s.ConnectedAt, events.CallConnectedPayload{ProviderRoom: t.room(), ProviderParticipant: participantOf(p)},
		t.s.Room.SID, p.SID, episode(p))
}

func (t *transition) emitDisconnected(reason events.DisconnectReason) {
	t.emit(t.s.DisconnectedAt, events.CallDisconnectedPayload{ProviderRoom: t.room(), Reason: reason}, t.s.Room.SID)
}

func (t *transition) emitJoined(p Participant) {
	device := p.DeviceID
	t.emit(p.JoinedAt, events.CallParticipantJoinedPayload{
		ProviderRoom: t.room(), ProviderParticipant: participantOf(p), DeviceID: &device, JoinedAt: events.At(p.JoinedAt),
	}, t.s.Room.SID, p.SID, episode(p))
}

// emitLeft emits that a participant left, at a time of which only now is known that it was for
// good.
func (t *transition) emitLeft(p Participant, reason events.LeaveReason, left, at time.Time) {
	t.emit(at, events.CallParticipantLeftPayload{
		ProviderRoom: t.room(), ProviderParticipant: participantOf(p), Reason: reason, LeftAt: events.At(left),
	}, t.s.Room.SID, p.SID, episode(p))
}

// emitParticipantReconnecting emits that a participant is lost, in the episode that begins with it.
func (t *transition) emitParticipantReconnecting(p Participant) {
	t.emit(p.Grace.Since, events.CallParticipantReconnectingPayload{
		ProviderRoom: t.room(), ProviderParticipant: participantOf(p), Reason: p.Grace.Reason, Deadline: events.At(p.Grace.Deadline),
	}, t.s.Room.SID, p.SID, episode(p))
}

func (t *transition) emitParticipantReconnected(p Participant) {
	t.emit(latest(t.at, p.JoinedAt), events.CallParticipantReconnectedPayload{ProviderRoom: t.room(), ProviderParticipant: participantOf(p)},
		t.s.Room.SID, p.SID, episode(p))
}

func (t *transition) emitReconnecting(at, deadline time.Time) {
	t.emit(at, events.CallReconnectingPayload{ProviderRoom: t.room(), Deadline: events.At(deadline)}, t.s.Room.SID, strconv.Itoa(t.s.Episode))
}

func (t *transition) emitReconnected(at time.Time) {
	t.emit(at, events.CallReconnectedPayload{ProviderRoom: t.room()}, t.s.Room.SID, strconv.Itoa(t.s.Episode))
}

func (t *transition) emitPublished(p Participant, track Track) {
	t.emit(track.PublishedAt, events.CallTrackPublishedPayload{
		ProviderRoom: t.room(), ProviderParticipant: participantOf(p), Track: trackOf(track),
	}, t.s.Room.SID, p.SID, track.SID, episode(p), strconv.Itoa(track.Episode))
}

func (t *transition) emitUnpublished(p Participant, track Track, at time.Time) {
	t.emit(at, events.CallTrackUnpublishedPayload{
		ProviderRoom: t.room(), ProviderParticipant: participantOf(p), Track: trackOf(track),
	}, t.s.Room.SID, p.SID, track.SID, episode(p), strconv.Itoa(track.Episode))
}

func (t *transition) room() events.ProviderRoom {
	return events.ProviderRoom{Provider: events.ProviderLiveKit, RoomName: t.s.RoomName, RoomSID: t.s.Room.SID}
}

func participantOf(p Participant) events.ProviderParticipant {
	return events.ProviderParticipant{Identity: p.Identity, UserID: p.UserID, ParticipantSID: p.SID}
}

func trackOf(t Track) events.Track {
	return events.Track{TrackSID: t.SID, Kind: t.Kind, Source: t.Source, Name: orNull(t.Name), MimeType: orNull(t.MimeType)}
}

func episode(p Participant) string { return strconv.Itoa(p.Episode) }

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

package domain

import (
	"strconv"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// provider is the actor of everything that a provider's fact says.
var provider = events.Actor{Type: events.ActorProvider, ID: events.ProviderLiveKit}

// emit adds an event whose id is made of its type, the session and what names the fact: room,
// participant or track sid and the episode.
func (a *application) emit(at time.Time, payload events.Payload, fact ...string) {
	parts := append([]string{string(payload.EventType()), a.s.SessionID}, fact...)
	a.events = append(a.events, Event{
		ID:    events.DerivedID(parts...),
		Draft: events.Draft{Timestamp: at, Actor: provider, Payload: payload},
	})
}

func (a *application) emitConnecting() {
	a.emit(a.s.ConnectingAt, events.CallConnectingPayload{ProviderRoom: a.room()}, a.s.Room.SID)
}

func (a *application) emitConnected(p Participant) {
	a.emit(a.s.ConnectedAt, events.CallConnectedPayload{ProviderRoom: a.room(), ProviderParticipant: who(p)},
		a.s.Room.SID, p.SID, episode(p))
}

func (a *application) emitDisconnected(reason events.DisconnectReason) {
	a.emit(a.s.DisconnectedAt, events.CallDisconnectedPayload{ProviderRoom: a.room(), Reason: reason}, a.s.Room.SID)
}

func (a *application) emitJoined(p Participant) {
	device := p.DeviceID
	a.emit(p.JoinedAt, events.CallParticipantJoinedPayload{
		ProviderRoom: a.room(), ProviderParticipant: who(p), DeviceID: &device, JoinedAt: events.At(p.JoinedAt),
	}, a.s.Room.SID, p.SID, episode(p))
}

// emitLeft tells of somebody who left at a time of which only now is known that it was for good.
func (a *application) emitLeft(p Participant, reason events.LeaveReason, left, at time.Time) {
	a.emit(at, events.CallParticipantLeftPayload{
		ProviderRoom: a.room(), ProviderParticipant: who(p), Reason: reason, LeftAt: events.At(left),
	}, a.s.Room.SID, p.SID, episode(p))
}

// emitParticipantReconnecting tells of somebody lost, under the episode in which they were.
func (a *application) emitParticipantReconnecting(p Participant) {
	a.emit(p.Window.Since, events.CallParticipantReconnectingPayload{
		ProviderRoom: a.room(), ProviderParticipant: who(p), Reason: p.Window.Reason, Deadline: events.At(p.Window.Deadline),
	}, a.s.Room.SID, p.SID, episode(p))
}

func (a *application) emitParticipantReconnected(p Participant) {
	a.emit(latest(a.at, p.JoinedAt), events.CallParticipantReconnectedPayload{ProviderRoom: a.room(), ProviderParticipant: who(p)},
		a.s.Room.SID, p.SID, episode(p))
}

func (a *application) emitReconnecting(at, deadline time.Time) {
	a.emit(at, events.CallReconnectingPayload{ProviderRoom: a.room(), Deadline: events.At(deadline)}, a.s.Room.SID, strconv.Itoa(a.s.Episode))
}

func (a *application) emitReconnected(at time.Time) {
	a.emit(at, events.CallReconnectedPayload{ProviderRoom: a.room()}, a.s.Room.SID, strconv.Itoa(a.s.Episode))
}

func (a *application) emitPublished(p Participant, t Track) {
	a.emit(t.PublishedAt, events.CallTrackPublishedPayload{
		ProviderRoom: a.room(), ProviderParticipant: who(p), Track: what(t),
	}, a.s.Room.SID, p.SID, t.SID, episode(p))
}

func (a *application) emitUnpublished(p Participant, t Track, at time.Time) {
	a.emit(at, events.CallTrackUnpublishedPayload{
		ProviderRoom: a.room(), ProviderParticipant: who(p), Track: what(t),
	}, a.s.Room.SID, p.SID, t.SID, episode(p))
}

func (a *application) room() events.ProviderRoom {
	return events.ProviderRoom{Provider: events.ProviderLiveKit, RoomName: a.s.RoomName, RoomSID: a.s.Room.SID}
}

func who(p Participant) events.ProviderParticipant {
	return events.ProviderParticipant{Identity: p.Identity, UserID: p.UserID, ParticipantSID: p.SID}
}

func what(t Track) events.Track {
	return events.Track{TrackSID: t.SID, Kind: t.Kind, Source: t.Source, Name: orNull(t.Name), MimeType: orNull(t.MimeType)}
}

func episode(p Participant) string { return strconv.Itoa(p.Episode) }

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

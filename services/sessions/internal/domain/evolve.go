package domain

import (
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// record applies own events to the state and adds them to drafts.
func (s *Session) record(drafts []events.Draft, now time.Time, own events.Draft) []events.Draft {
	s.evolve(own.Payload, own.Timestamp, now)
	return append(drafts, own)
}

// outcome is how a session came to its end: in good order where there is no failure.
type outcome struct {
	reason  *string
	failure *events.ErrorInfo
}

// finish adds the event that makes the session's end known, after the one that caused it.
func (s *Session) finish(drafts []events.Draft, o outcome, actor events.Actor, at, now time.Time) []events.Draft {
	ended := precise(at)
	if s.state.StartedAt != nil {
		ended = later(ended, *s.state.StartedAt) // the clocks of provider and service may differ
	}
	var payload events.Payload
	if o.failure != nil {
		payload = events.CallFailedPayload{
			Error:          *o.failure,
			Reason:         o.reason,
			SessionVersion: s.state.Version,
			StartedAt:      events.AtPtr(s.state.StartedAt),
			EndedAt:        events.At(ended),
		}
	} else {
		payload = events.CallEndedPayload{
			Reason:         *o.reason,
			SessionVersion: s.state.Version,
			StartedAt:      events.AtPtr(s.state.StartedAt),
			EndedAt:        events.At(ended),
		}
	}
	return s.record(drafts, now, events.Draft{Timestamp: ended, Actor: actor, Payload: payload})
}

// evolve is the one place where the state changes: by a payload that is in the log, that happened at
// at and was logged at logged. It decides nothing, so that replaying the log gives the same state.
func (s *Session) evolve(payload events.Payload, at, logged time.Time) {
	switch p := payload.(type) {
	case events.CallCreatedPayload:
		s.created(p, logged)
	case events.CallUpdatedPayload:
		s.updated(p, at, logged)
	case events.CallMemberAddedPayload:
		s.putMember(events.Member{UserID: p.UserID, Role: p.Role})
		s.touch(p.SessionVersion, logged)
	case events.CallMemberUpdatedPayload:
		s.putMember(events.Member{UserID: p.UserID, Role: p.Role})
		s.touch(p.SessionVersion, logged)
	case events.CallMemberRemovedPayload:
		s.dropMember(p.UserID)
		s.touch(p.SessionVersion, logged)
	case events.CallEndedPayload:
		ended := precise(p.EndedAt.Time)
		s.state.Status, s.state.EndedAt, s.state.EndReason = events.StatusEnded, &ended, &p.Reason
	case events.CallFailedPayload:
		ended := precise(p.EndedAt.Time)
		s.state.Status, s.state.EndedAt, s.state.EndReason = events.StatusFailed, &ended, p.Reason
		s.state.Failure = &p.Error
		s.touch(p.SessionVersion, logged) // a deadline that passed has no other event that counts
	case events.CallConnectedPayload:
		s.activated(Correlation{RoomID: p.RoomName, ParticipantID: p.Identity, CallID: p.RoomSID}, at)
		s.move(causeConnected, logged)
	case events.CallReconnectingPayload:
		s.move(causeReconnecting, logged)
	case events.CallReconnectedPayload:
		s.move(causeReconnected, logged)
	case events.CallDisconnectedPayload:
		s.state.Disconnected = true
		s.move(disconnectCause(p), logged)
	case events.CallErrorPayload:
		if !p.Retryable {
			s.move(causeProviderError, logged)
		}
	default:
		s.evolvePresence(payload)
	}
}

// move changes the status as the state machine says; nothing where it has no way.
func (s *Session) move(c cause, logged time.Time) {
	if to, ok := s.next(c); ok {
		s.state.Status = to
		s.touch(s.state.Version+1, logged)
	}
}

func (s *Session) touch(version int64, logged time.Time) {
	s.state.Version = version
	s.state.UpdatedAt = later(s.state.UpdatedAt, precise(logged))
}

func (s *Session) created(p events.CallCreatedPayload, logged time.Time) {
	s.state = Snapshot{
		ID:        s.state.ID,
		OwnerID:   p.OwnerID,
		Status:    events.StatusCreated,
		Title:     p.Title,
		Kind:      p.Kind,
		Provider:  p.Provider,
		Metadata:  p.Metadata,
		Members:   slices.Clone(p.Members),
		CreatedAt: precise(logged),
	}
	s.touch(p.SessionVersion, logged)
}

func (s *Session) updated(p events.CallUpdatedPayload, at, logged time.Time) {
	c := p.Changes
	if title, given := c.Title.Get(); given {
		s.state.Title = title
	}
	if c.Metadata != nil {
		s.state.Metadata = c.Metadata
	}
	if c.EndReason != nil {
		s.state.EndReason = c.EndReason
	}
	if c.ProviderRoomID != nil && c.ProviderParticipantID != nil && c.ProviderCallID != nil {
		s.activated(Correlation{RoomID: *c.ProviderRoomID, ParticipantID: *c.ProviderParticipantID, CallID: *c.ProviderCallID}, at)
	}
	if c.Status != nil {
		s.state.Status = *c.Status
	}
	s.touch(p.SessionVersion, logged)
}

// activated writes what only the first activation writes.
func (s *Session) activated(c Correlation, at time.Time) {
	if s.state.Correlation != nil {
		return
	}
	started := precise(at)
	s.state.Correlation, s.state.StartedAt = &c, &started
}

func disconnectCause(p events.CallDisconnectedPayload) cause {
	if p.Reason == events.DisconnectCompleted {
		return causeCompleted
	}
	return causeLost
}

// evolvePresence follows who is in the call and what they publish; no version counts it.
func (s *Session) evolvePresence(payload events.Payload) {
	switch p := payload.(type) {
	case events.CallParticipantJoinedPayload:
		i, known := s.participantIndex(p.Identity)
		if !known {
			s.state.Participants = slices.Insert(s.state.Participants, i, Participant{Identity: p.Identity})
		}
		found := &s.state.Participants[i]
		found.UserID, found.Presence, found.JoinedAt = p.UserID, PresencePresent, precise(p.JoinedAt.Time)
	case events.CallParticipantReconnectingPayload:
		s.setPresence(p.Identity, PresenceReconnecting)
	case events.CallParticipantReconnectedPayload:
		s.setPresence(p.Identity, PresencePresent)
	case events.CallParticipantLeftPayload:
		s.setPresence(p.Identity, PresenceLeft)
	case events.CallTrackPublishedPayload:
		if found := s.participant(p.Identity); found != nil {
			i, _ := slices.BinarySearch(found.OpenTracks, p.TrackSID)
			found.OpenTracks = slices.Insert(found.OpenTracks, i, p.TrackSID)
		}
	case events.CallTrackUnpublishedPayload:
		if found := s.participant(p.Identity); found != nil {
			found.OpenTracks = slices.DeleteFunc(found.OpenTracks, func(sid string) bool { return sid == p.TrackSID })
		}
	}
}

func (s *Session) setPresence(identity string, presence Presence) {
	if found := s.participant(identity); found != nil {
		found.Presence = presence
	}
}

func (s *Session) participant(identity string) *Participant {
	i, known := s.participantIndex(identity)
	if !known {
		return nil
	}
	return &s.state.Participants[i]
}

package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Fact is something that a webhook of the provider tells.
type Fact interface {
	room() RoomRef
	at() time.Time
}

// RoomRef says which room a fact is about. CreatedAt is zero where the provider didn't tell it.
type RoomRef struct {
	Name      string
	SID       string
	CreatedAt time.Time
}

// Connection says which connection of which participant a fact is about. JoinedAt is zero where the
// provider didn't tell it.
type Connection struct {
	Identity string
	SID      string
	JoinedAt time.Time
}

// Observation is what every fact has: the room, and when it happened by the provider's clock.
type Observation struct {
	Room RoomRef
	At   time.Time
}

func (o Observation) room() RoomRef { return o.Room }
func (o Observation) at() time.Time { return o.At }

// RoomStarted says that the room was made.
type RoomStarted struct{ Observation }

// RoomFinished says that the room was closed.
type RoomFinished struct{ Observation }

// ParticipantJoined says that a participant is in the room, fully connected.
type ParticipantJoined struct {
	Observation
	Connection
}

// ParticipantLeft says that a participant's connection ended, and why. The provider tells it of
// connections that were fully in the room, and, where Aborted is set, of others.
type ParticipantLeft struct {
	Observation
	Connection
	Reason  events.LeaveReason
	Aborted bool
}

// TrackPublished says that a participant publishes a track.
type TrackPublished struct {
	Observation
	Connection
	Track Track
}

// TrackUnpublished says that a track of a participant is gone.
type TrackUnpublished struct {
	Observation
	Connection
	Track Track
}

// departure is what a reason for leaving means for the call.
type departure int

const (
	orderly     departure = iota // gone on purpose
	replaced                     // another connection of the same participant takes over
	lost                         // gone by no wish of theirs
	unexplained                  // the provider doesn't say why, or by a reason that this build doesn't know
)

func departureOf(r events.LeaveReason) departure {
	switch r {
	case events.LeaveClientInitiated, events.LeaveParticipantRemoved, events.LeaveRoomDeleted, events.LeaveRoomClosed:
		return orderly
	case events.LeaveDuplicateIdentity, events.LeaveMigration:
		return replaced
	case events.LeaveUnknown:
		return unexplained
	default:
		return lost
	}
}

// kind is how a participant left for good. What isn't explained must not make a failure of an
// orderly end.
func (d departure) kind() LeaveKind {
	if d == lost {
		return Lost
	}
	return InOrder
}

// neverIn says whether a reason to leave is that of a connection that was never fully in the room.
func neverIn(r events.LeaveReason) bool {
	switch r {
	case events.LeaveJoinFailure, events.LeaveUserUnavailable, events.LeaveUserRejected, events.LeaveSIPTrunkFailure:
		return true
	default:
		return false
	}
}

// later orders connections, and rooms, of the same name that webhooks tell of: by when they were
// made and, in the same millisecond, by sid, so that everybody agrees. One without a time is never
// later. The clock is the provider's, and may differ between its nodes: it decides nothing else.
func later(at time.Time, sid string, than time.Time, thanSID string) bool {
	if at.IsZero() || at.Before(than) {
		return false
	}
	return at.After(than) || sid > thanSID
}

package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Fact is something that happened at the provider. Whoever observed it, by a webhook or by listing,
// the same fact looks the same.
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

// Sighting is what every fact has: the room, and when it happened by the provider's clock.
type Sighting struct {
	Room RoomRef
	At   time.Time
}

func (s Sighting) room() RoomRef { return s.Room }
func (s Sighting) at() time.Time { return s.At }

// RoomStarted says that the room was made.
type RoomStarted struct{ Sighting }

// RoomFinished says that the room was closed.
type RoomFinished struct{ Sighting }

// ParticipantJoined says that a participant is in the room, fully connected.
type ParticipantJoined struct {
	Sighting
	Connection
}

// ParticipantLeft says that a participant's connection ended, and why.
type ParticipantLeft struct {
	Sighting
	Connection
	Reason events.LeaveReason
}

// TrackPublished says that a participant publishes a track.
type TrackPublished struct {
	Sighting
	Connection
	Track Track
}

// TrackUnpublished says that a track of a participant is gone.
type TrackUnpublished struct {
	Sighting
	Connection
	Track Track
}

// departure is what a reason for leaving means for the call.
type departure int

const (
	orderly  departure = iota // gone on purpose
	replaced                  // another connection of the same participant takes over
	lost                      // gone without anybody wanting it
)

func departureOf(r events.LeaveReason) departure {
	switch r {
	case events.LeaveClientInitiated, events.LeaveParticipantRemoved, events.LeaveRoomDeleted, events.LeaveRoomClosed:
		return orderly
	case events.LeaveDuplicateIdentity, events.LeaveMigration:
		return replaced
	default:
		return lost
	}
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

// later orders connections, and rooms, of the same name: by when they were made and, in the same
// millisecond, by sid, so that everybody agrees. One without a time is never later.
func later(at time.Time, sid string, than time.Time, thanSID string) bool {
	if at.IsZero() || at.Before(than) {
		return false
	}
	return at.After(than) || sid > thanSID
}

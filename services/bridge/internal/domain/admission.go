package domain

import (
	"errors"

	"github.com/callplane/callplane/contracts/events"
)

// MaxDevices is how many devices of one member may be given tokens for one session.
const MaxDevices = 5

// MaxParticipants is how many can be in a room at once: every device of as many members as the API lets a session have.
const MaxParticipants = maxMembers * MaxDevices

const maxMembers = 100

// Why a token is refused.
var (
	ErrSessionFinal = errors.New("the session is final")
	ErrDeviceLimit  = errors.New("the member has used all their devices in this session")
	ErrNotAMember   = errors.New("the member was removed after the command was made")
)

// Admission asks for a token: who, on which device ("" for DefaultDevice), and their role as of a
// session version.
type Admission struct {
	UserID         string
	DeviceID       string
	Role           events.Role
	SessionVersion int64
}

// Seat is where an admitted participant may sit: their identity, and their role as far as it is known.
type Seat struct {
	Identity string
	UserID   string
	Role     events.Role
}

// Admit maps a user's device to the room and returns its seat, the same each time. The role is the
// newer of the one asked for and the one known. Errors: ErrSessionFinal, ErrDeviceLimit,
// ErrNotAMember, ErrInvalidIdentity; the mapping is then unchanged.
func (m Mapping) Admit(ask Admission) (Mapping, Seat, error) {
	if m.Over() {
		return m, Seat{}, ErrSessionFinal
	}
	identity, err := Identity(ask.UserID, ask.DeviceID)
	if err != nil {
		return m, Seat{}, err
	}
	s := m.s.clone()
	changed := s.learn(Member{UserID: ask.UserID, Role: ask.Role, Version: ask.SessionVersion})
	member := s.Members[ask.UserID]
	if member.Removed {
		return m, Seat{}, ErrNotAMember
	}
	if _, mapped := s.Participants[identity]; !mapped {
		if s.devices(ask.UserID) >= MaxDevices {
			return m, Seat{}, ErrDeviceLimit
		}
		device := ask.DeviceID
		if device == "" {
			device = DefaultDevice
		}
		s.Participants[identity] = Participant{Identity: identity, UserID: ask.UserID, DeviceID: device, Presence: Absent}
		changed = true
	}
	if changed {
		s.Revision++
	}
	return Mapping{s: s}, Seat{Identity: identity, UserID: ask.UserID, Role: member.Role}, nil
}

func (s State) devices(userID string) int {
	n := 0
	for _, p := range s.Participants {
		if p.UserID == userID {
			n++
		}
	}
	return n
}

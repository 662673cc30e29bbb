package domain

import (
	"cmp"
	"errors"

	"github.com/callplane/callplane/contracts/events"
)

// MaxDevices is how many devices of one member may be given tokens for one session.
const MaxDevices = 5

// MaxParticipants is how many can be in a room at once: every device of as many members as the API
// lets a session have.
const MaxParticipants = maxMembers * MaxDevices

const maxMembers = 100

// Why a token is refused.
var (
	ErrSessionFinal = errors.New("the session is final")
	ErrDeviceLimit  = errors.New("the member has used all their devices in this session")
	ErrNotAMember   = errors.New("the member was removed after the command was made")
)

// GrantRequest asks for access to the room: the user, the device ("" for DefaultDevice), and the
// role as of a session version.
type GrantRequest struct {
	UserID         string
	DeviceID       string
	Role           events.Role
	SessionVersion int64
}

// Grant is the access that a participant has to the room: their identity, and their role as far as
// it is known.
type Grant struct {
	Identity string
	UserID   string
	Role     events.Role
}

// Admit maps a user's device to the room and returns its grant, the same each time. The role is the
// newer of the one asked for and the one known. Errors: ErrSessionFinal, ErrDeviceLimit,
// ErrNotAMember, ErrInvalidIdentity; the mapping is then unchanged.
func (m Mapping) Admit(ask GrantRequest) (Mapping, Grant, error) {
	if m.Over() {
		return m, Grant{}, ErrSessionFinal
	}
	identity, err := Identity(ask.UserID, ask.DeviceID)
	if err != nil {
		return m, Grant{}, err
	}
	s := m.s.clone()
	changed := s.learn(Member{UserID: ask.UserID, Role: ask.Role, Version: ask.SessionVersion})
	member := s.Members[ask.UserID]
	if member.Removed {
		return m, Grant{}, ErrNotAMember
	}
	device := cmp.Or(ask.DeviceID, DefaultDevice)
	if known, mapped := s.identityOf(ask.UserID, device); mapped {
		identity = known
	} else {
		if s.devices(ask.UserID) >= MaxDevices {
			return m, Grant{}, ErrDeviceLimit
		}
		s.Participants[identity] = Participant{Identity: identity, UserID: ask.UserID, DeviceID: device, Presence: Absent}
		changed = true
	}
	if changed {
		s.Revision++
	}
	return Mapping{s: s}, Grant{Identity: identity, UserID: ask.UserID, Role: member.Role}, nil
}

// identityOf returns the identity that a user's device was given.
func (s State) identityOf(userID, device string) (string, bool) {
	for identity, p := range s.Participants {
		if p.UserID == userID && p.DeviceID == device {
			return identity, true
		}
	}
	return "", false
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

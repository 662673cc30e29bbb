package domain

import (
	"maps"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// RoomPhase is where the provider's room is in its life.
type RoomPhase string

// The phases of a room.
const (
	PhaseUnseen   RoomPhase = "unseen"   // no sign of life yet
	PhaseOpen     RoomPhase = "open"     // seen, and not known to be finished
	PhaseFinished RoomPhase = "finished" // the provider closed the room with this sid
)

// Presence is how a participant is shown in the call.
type Presence string

// The kinds of presence. All but Absent are shown. Replaced and Reconnecting have a window open.
const (
	Absent       Presence = "absent"       // never joined, or left
	Present      Presence = "present"      // joined
	Replaced     Presence = "replaced"     // their connection gave way to another one of theirs, which has not come yet
	Reconnecting Presence = "reconnecting" // lost, and shown as such
)

// Member is what the bridge knows of a user's membership, and as of which session version.
type Member struct {
	UserID  string
	Role    events.Role
	Version int64
	Removed bool
}

// Track is a track of a participant's current connection. A closed one is remembered until the
// connection ends, so that a late or repeated fact doesn't open it again. One that was published
// before its connection was fully in the room waits for that, and is open from then on.
type Track struct {
	SID         string
	Kind        events.TrackKind
	Source      events.TrackSource
	Name        string // "" where it has none
	MimeType    string // "" where it isn't known
	PublishedAt time.Time
	Open        bool
	Awaits      string // sid of the connection that has not joined yet; "" once it has
}

// Participant is one device of a user that was given a token.
type Participant struct {
	Identity string
	UserID   string
	DeviceID string
	Presence Presence
	SID      string    // the newest connection known; "" before the first
	JoinedAt time.Time // when that connection joined, by the provider's clock
	Episode  int       // the mapping's episode in which they were last shown; 0 before
	Outdated bool      // the member's role has changed, or they were removed, after the first token was given
	Window   Window    // zero where none is open
	Tracks   map[string]Track
}

// Shown says whether the session's log shows the participant in the call.
func (p Participant) Shown() bool { return p.Presence != Absent }

// Room is the provider's room as last known.
type Room struct {
	Phase     RoomPhase
	SID       string
	FirstSID  string
	CreatedAt time.Time // by the provider's clock; zero where it isn't known
}

// State is all that is stored of a mapping. Zero times mean "not yet".
type State struct {
	SessionID      string
	RoomName       string
	SessionVersion int64 // the newest that any command or event told; 0 before
	Final          bool  // the session ended or failed
	Revision       int64 // grows with every change
	Episode        int   // grows with every participant that comes to be shown
	Room           Room
	ConnectingAt   time.Time // when call.connecting says it was; likewise the next two
	ConnectedAt    time.Time
	DisconnectedAt time.Time
	Interrupted    bool      // call.reconnecting was told, and call.reconnected was not told since
	LastLeftAt     time.Time // when the last one left who did not come back
	LastLeft       Parting   // how that was; "" where nobody has left yet
	Members        map[string]Member
	Participants   map[string]Participant
}

// Mapping is a session's mapping to a room, its members and participants. It is a value: what changes
// it returns the changed one and leaves the receiver alone.
type Mapping struct{ s State }

// New returns the mapping of a session of which nothing is known yet.
func New(sessionID string) Mapping {
	return Mapping{s: State{
		SessionID: sessionID, RoomName: RoomName(sessionID), Room: Room{Phase: PhaseUnseen},
		Members: map[string]Member{}, Participants: map[string]Participant{},
	}}
}

// Restore returns the mapping that a store holds.
func Restore(s State) Mapping { return Mapping{s: s.clone()} }

// State returns a copy of what is to be stored.
func (m Mapping) State() State { return m.s.clone() }

// SessionID returns the session's id.
func (m Mapping) SessionID() string { return m.s.SessionID }

// RoomName returns the room's name.
func (m Mapping) RoomName() string { return m.s.RoomName }

// Revision returns a number that grows with every change.
func (m Mapping) Revision() int64 { return m.s.Revision }

// SessionVersion returns the newest version of the session that any command or event told, 0 before.
func (m Mapping) SessionVersion() int64 { return m.s.SessionVersion }

// Activated says that somebody has been in the call, so that call.connected was told.
func (m Mapping) Activated() bool { return !m.s.ConnectedAt.IsZero() }

// Seats says whether the identity is that of a member, who may be in the call by it. Whoever was removed
// meanwhile has no seat any more, and an identity that isn't mapped never had one.
func (m Mapping) Seats(identity string) bool {
	p, mapped := m.s.Participants[identity]
	if !mapped {
		return false
	}
	member, known := m.s.Members[p.UserID]
	return known && !member.Removed
}

// Over says that the call can't go on: its session is final, or its room came to its end.
func (m Mapping) Over() bool { return m.s.over() }

// NextDeadline returns when the first open window ends, and false where none is open.
func (m Mapping) NextDeadline() (time.Time, bool) { return m.s.NextDeadline() }

// NextDeadline returns when the first open window ends, and false where none is open.
func (s State) NextDeadline() (time.Time, bool) {
	var next time.Time
	for _, p := range s.Participants {
		if p.Window.Open() && (next.IsZero() || p.Window.Deadline.Before(next)) {
			next = p.Window.Deadline
		}
	}
	return next, !next.IsZero()
}

func (s State) over() bool { return s.Final || !s.DisconnectedAt.IsZero() }

func (s State) clone() State {
	s.Members = maps.Clone(s.Members)
	s.Participants = maps.Clone(s.Participants)
	for identity, p := range s.Participants {
		p.Tracks = maps.Clone(p.Tracks)
		s.Participants[identity] = p
	}
	if s.Members == nil {
		s.Members = map[string]Member{}
	}
	if s.Participants == nil {
		s.Participants = map[string]Participant{}
	}
	return s
}

package domain

import (
	"maps"
	"slices"
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

// The kinds of presence. All but Absent are shown. Replaced and Reconnecting have a grace period.
const (
	Absent       Presence = "absent"       // never joined, or left
	Present      Presence = "present"      // joined
	Replaced     Presence = "replaced"     // the connection gave way to another one, which has not come yet
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
	Awaits      string   // sid of the connection that has not joined yet; "" once it has
	Evidence    Evidence // how it is known that the track is open, or closed
	Episode     int      // how often an inferred end of the track was undone
}

// Participant is one device of a user that was given a token.
type Participant struct {
	Identity   string
	UserID     string
	DeviceID   string
	Presence   Presence
	SID        string      // the newest connection known; "" before the first
	JoinedAt   time.Time   // when that connection joined, by the provider's clock
	Evidence   Evidence    // how that connection came to be known: Told or Seen; "" before the first
	Ended      []string    // sids of connections whose end was told, the newest last
	Unanswered bool        // the connection's end was inferred although listings show it: no node answers for it
	Episode    int         // the mapping's episode in which they were last shown; 0 before
	StaleToken bool        // the member's role has changed, or they were removed, after the first token was given
	Grace      GracePeriod // zero where none is open
	Tracks     map[string]Track
}

// Shown says whether the session's log shows the participant in the call.
func (p Participant) Shown() bool { return p.Presence != Absent }

// endTold says whether the end of a connection of the participant was told.
func (p Participant) endTold(sid string) bool { return slices.Contains(p.Ended, sid) }

// Room is the provider's room as last known.
type Room struct {
	Phase      RoomPhase
	Evidence   Evidence // how the phase is known; "" while the room is unseen
	SID        string
	FirstSID   string
	CreatedAt  time.Time // by the provider's clock; zero where it isn't known
	FinishedAt time.Time // when the last finish that was told happened, by the provider's clock
	Finished   []string  // sids of rooms whose finish was told, the newest last
}

// State is all that is stored of a mapping. Zero times mean "not yet".
type State struct {
	SessionID       string
	RoomName        string
	SessionVersion  int64 // the newest that any command or event told; 0 before
	Final           bool  // the session ended or failed
	Revision        int64 // grows with every change
	Episode         int   // grows with every change of who is shown, and how
	Room            Room
	ConnectingAt    time.Time // when call.connecting says it was; likewise the next two
	ConnectedAt     time.Time
	DisconnectedAt  time.Time
	Interrupted     bool      // call.reconnecting was emitted, and call.reconnected was not since
	LastLeftAt      time.Time // when the last one left who did not come back
	LastLeft        LeaveKind // how that was; "" where all are still there
	LookAt          time.Time // when the provider is to be asked for the room; zero where nothing asks for it
	UnattendedSince time.Time // since when listings show the room without a member and without a phone
	Members         map[string]Member
	Participants    map[string]Participant
}

// Mapping is a session's mapping to a room, its members and participants. It is a value: what
// changes it returns the changed one and leaves the receiver alone.
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

// SessionVersion returns the newest version of the session that any command or event told, 0
// before.
func (m Mapping) SessionVersion() int64 { return m.s.SessionVersion }

// Activated says that somebody has been in the call, so that call.connected was told.
func (m Mapping) Activated() bool { return !m.s.ConnectedAt.IsZero() }

// IsActiveMember says whether the identity is that of a member, who may be in the call by it. A
// removed member is none any more, and an identity that isn't mapped never was one.
func (m Mapping) IsActiveMember(identity string) bool { return m.s.isActiveMember(identity) }

func (s State) isActiveMember(identity string) bool {
	p, mapped := s.Participants[identity]
	return mapped && !s.removed(p.UserID)
}

// removed says whether the user is no member, or not any more.
func (s State) removed(userID string) bool {
	member, known := s.Members[userID]
	return !known || member.Removed
}

// Over says that the call can't go on: its session is final, or its room came to its end.
func (m Mapping) Over() bool { return m.s.over() }

// NextCheckAt returns when the provider is to be asked for the room next, and false where nothing
// asks for it: a look that evidence called for, or the end of a grace period.
func (m Mapping) NextCheckAt() (time.Time, bool) { return m.s.NextCheckAt() }

// NextCheckAt is the method of the Mapping.
func (s State) NextCheckAt() (time.Time, bool) {
	next := s.LookAt
	for _, p := range s.Participants {
		if at := p.Grace.checkAt(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, !next.IsZero()
}

func (s State) over() bool { return s.Final || !s.DisconnectedAt.IsZero() }

func (s State) clone() State {
	s.Members = maps.Clone(s.Members)
	s.Participants = maps.Clone(s.Participants)
	s.Room.Finished = slices.Clone(s.Room.Finished)
	for identity, p := range s.Participants {
		p.Ended = slices.Clone(p.Ended)
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

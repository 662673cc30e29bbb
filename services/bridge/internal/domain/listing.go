package domain

import (
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// SecondLook is how long after somebody was missed in one listing they must be missed in another one to count as gone. The provider
// may be between two connections of theirs.
const SecondLook = 2 * time.Second

// ListedState is how far a listed connection has come.
type ListedState int

// The states of a listed connection.
const (
	Connecting ListedState = iota // on its way into the room
	Active                        // fully in the room
)

// Listed is a participant as the provider lists them.
type Listed struct {
	Connection

	State  ListedState
	Tracks []Track
}

// Listing is what the provider answers when it is asked who is in a room. The sid of a room that isn't there is "". A call that failed
// is no listing.
type Listing struct {
	Room         RoomRef
	Participants []Listed
}

func (l Listing) find(identity string) (Listed, bool) {
	for _, p := range l.Participants {
		if p.Identity == identity {
			return p, true
		}
	}
	return Listed{}, false
}

// Missing is what one listing missed of what a mapping shows, for the next listing to confirm. It is told by sids, so that whatever
// was replaced meanwhile isn't taken for gone.
type Missing struct {
	At           time.Time
	RoomSID      string            // "" where the room was there
	Participants map[string]string // sids of connections by identity
	Tracks       map[string]bool   // by sid
}

// Some says whether anything was missed.
func (m Missing) Some() bool {
	return m.RoomSID != "" || len(m.Participants) > 0 || len(m.Tracks) > 0
}

// Inspection is a listing of a mapping's room and what is needed to judge it.
type Inspection struct {
	Listing  Listing
	Revision int64   // of the mapping, read before the provider was asked
	Before   Missing // what an earlier listing missed
	Expire   bool    // end the windows whose time is over
}

// Inspect compares what the provider lists with what the mapping shows, and returns the mapping after the facts that follow, what follows
// from those, and what was missed for the first time. A mapping that has changed since its revision was read is left as it is: the
// listing may be older than the change.
func (m Mapping) Inspect(i Inspection, now Moment) (Mapping, Result, Missing) {
	if m.s.Revision != i.Revision {
		return m, Result{Outcome: Outrun}, Missing{}
	}
	a := begin(m, now.Now, now)
	look := look{application: a, Inspection: i, missing: Missing{At: a.at, Participants: map[string]string{}, Tracks: map[string]bool{}}}
	if i.Listing.Room.SID == "" {
		look.noRoom()
	} else {
		look.room()
	}
	if i.Expire {
		look.expireDue()
	}
	a.settle()
	changed, result := a.end()
	return changed, result, look.missing
}

// look is one inspection going on.
type look struct {
	*application
	Inspection

	missing Missing
}

// confirmed says whether the time since the earlier listing is enough for it to count.
func (l *look) confirmed() bool {
	return l.Before.Some() && l.at.Sub(l.Before.At) >= SecondLook
}

// noRoom is what follows where the provider has no such room: with nobody in it it was closed in order, otherwise it was lost. Whoever was
// missed before, while it was still there, had gone before it did.
func (l *look) noRoom() {
	room := l.s.Room
	switch {
	case room.Phase != PhaseOpen:
	case l.confirmed() && l.Before.RoomSID == room.SID:
		l.finish(Vanished)
	default:
		l.absences()
		l.missing.RoomSID = room.SID
	}
}

// room is what follows where the room is there.
func (l *look) room() {
	if !l.enter(l.Listing.Room) {
		return
	}
	if l.s.Room.Phase == PhaseFinished && !l.s.over() {
		l.s.Room.Phase = PhaseOpen // It was missed by mistake.
		l.changed = true
	}
	l.signOfLife()
	for _, p := range l.Listing.Participants {
		if p.State == Active {
			l.withParticipant(p.Connection, func(known *Participant, c Connection) { l.present(known, c, p.Tracks) })
			l.settle()
		}
	}
	l.absences()
}

// absences takes for gone who is missed for the second time, and notes who is for the first.
func (l *look) absences() {
	for _, identity := range l.shown() {
		p := l.s.Participants[identity]
		if _, there := l.Listing.find(identity); there || p.Presence != Present {
			continue
		}
		if l.confirmed() && l.Before.Participants[identity] == p.SID {
			l.with(identity, func(p *Participant) { l.miss(p) })
			continue
		}
		l.missing.Participants[identity] = p.SID
	}
}

// miss takes somebody for gone without anybody having said how.
func (l *look) miss(p *Participant) {
	if l.s.over() {
		l.depart(p, events.LeaveUnknown)
		return
	}
	l.lose(p, unseen)
}

// present is what follows of an active connection. One that is known, and whose end was only guessed, is there again.
func (l *look) present(p *Participant, c Connection, tracks []Track) {
	if p.SID == c.SID && p.Window.Open() && !p.Window.Told {
		p.keepTracks(func(t Track) bool { return t.Awaits != "" })
		l.arrive(p)
	} else {
		l.join(p, c)
	}
	if p.SID != c.SID || p.Presence != Present {
		return
	}
	for _, t := range tracks {
		l.publish(p, c, t)
	}
	for _, t := range p.tracksInOrder(func(t Track) bool { return t.Open }) {
		listed := slices.ContainsFunc(tracks, func(other Track) bool { return other.SID == t.SID })
		switch {
		case listed:
		case l.confirmed() && l.Before.Tracks[t.SID]:
			l.closeTrack(p, t, l.at)
		default:
			l.missing.Tracks[t.SID] = true
		}
	}
}

// expireDue ends the windows whose time is over and whose participant isn't listed at all: whoever is on their way in is waited for.
func (l *look) expireDue() {
	for _, identity := range l.shown() {
		p := l.s.Participants[identity]
		if !p.Window.Open() || p.Window.Deadline.After(l.at) {
			continue
		}
		if _, there := l.Listing.find(identity); !there {
			l.with(identity, l.expire)
		}
	}
}

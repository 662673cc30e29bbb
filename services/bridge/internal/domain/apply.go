package domain

import (
	"cmp"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Outcome says what a fact did to a mapping.
type Outcome string

// The outcomes of a fact.
const (
	Applied  Outcome = "applied"  // the mapping changed
	Late     Outcome = "late"     // known already, or older than what is known
	Unmapped Outcome = "unmapped" // about an identity that was never given a token
)

// Event is a canonical event with its id, which is derived from the fact.
type Event struct {
	ID string
	events.Draft
}

// Result is what follows from a fact.
type Result struct {
	Outcome    Outcome
	Events     []Event    // in order
	DeleteRoom bool       // the room lives although the call is over
	Standings  []Standing // of who came with a token that may give them other rights than they have
}

// Apply returns the mapping after a fact about its room, and what follows. now stands in where the
// provider gave no time.
func (m Mapping) Apply(f Fact, now time.Time) (Mapping, Result) {
	a := application{s: m.s.clone(), at: f.at(), outcome: Late}
	if a.at.IsZero() {
		a.at = now
	}
	a.at = a.at.UTC().Truncate(time.Microsecond) // As fine as stores keep it.
	if a.enter(f.room()) {
		a.apply(f)
	}
	if a.changed {
		a.s.Revision++
		if a.outcome == Late {
			a.outcome = Applied
		}
	}
	return Mapping{s: a.s}, Result{Outcome: a.outcome, Events: a.events, DeleteRoom: a.deleteRoom, Standings: a.standings}
}

// application is one fact being applied.
type application struct {
	s          State
	at         time.Time
	events     []Event
	outcome    Outcome
	changed    bool
	deleteRoom bool
	standings  []Standing
}

func (a *application) apply(f Fact) {
	switch f := f.(type) {
	case RoomStarted:
		a.signOfLife()
	case RoomFinished:
		a.finish()
	case ParticipantJoined:
		a.signOfLife()
		a.withParticipant(f.Connection, a.join)
	case ParticipantLeft:
		a.withParticipant(f.Connection, func(p *Participant, c Connection) { a.leave(p, c, f.Reason) })
	case TrackPublished:
		a.signOfLife()
		a.withParticipant(f.Connection, func(p *Participant, c Connection) { a.publish(p, c, f.Track) })
	case TrackUnpublished:
		a.withParticipant(f.Connection, func(p *Participant, c Connection) { a.unpublish(p, c, f.Track) })
	}
}

// enter says whether a fact is about the room as it is now, and takes a newer room as the current one.
// People shown in the room before stay shown: they may be in the new one already.
func (a *application) enter(r RoomRef) bool {
	room := &a.s.Room
	switch {
	case r.SID == "":
		return false
	case r.SID == room.SID:
		if room.CreatedAt.IsZero() && !r.CreatedAt.IsZero() {
			room.CreatedAt = r.CreatedAt.UTC()
			a.changed = true
		}
		return room.Phase == PhaseOpen
	case room.SID != "" && !later(r.CreatedAt, r.SID, room.CreatedAt, room.SID):
		return false
	}
	room.Phase, room.SID, room.CreatedAt = PhaseOpen, r.SID, r.CreatedAt.UTC()
	if r.CreatedAt.IsZero() {
		room.CreatedAt = time.Time{}
	}
	if room.FirstSID == "" {
		room.FirstSID = r.SID
	}
	a.changed = true
	return true
}

// signOfLife is what any fact does that shows the room alive.
func (a *application) signOfLife() {
	if a.s.over() {
		a.deleteRoom = true
		return
	}
	if a.s.ConnectingAt.IsZero() {
		a.s.ConnectingAt = a.at
		if !a.s.Room.CreatedAt.IsZero() {
			a.s.ConnectingAt = a.s.Room.CreatedAt
		}
		a.emitConnecting()
		a.changed = true
	}
}

// withParticipant runs step on the participant that a fact is about and keeps what it changed.
func (a *application) withParticipant(c Connection, step func(*Participant, Connection)) {
	p, mapped := a.s.Participants[c.Identity]
	if !mapped {
		a.outcome = Unmapped
		return
	}
	step(&p, c)
	a.s.Participants[c.Identity] = p
}

// finish closes the room: whoever is still shown leaves, and the call is disconnected if it was ever
// connected. An empty room that finishes may start again.
func (a *application) finish() {
	a.s.Room.Phase = PhaseFinished
	a.changed = true
	for _, identity := range a.shown() {
		p := a.s.Participants[identity]
		a.depart(&p, events.LeaveRoomClosed)
		a.s.Participants[identity] = p
	}
	if a.s.ConnectedAt.IsZero() || !a.s.DisconnectedAt.IsZero() {
		return
	}
	reason := events.DisconnectCompleted
	if a.s.LastLeftLost {
		reason = events.DisconnectReconnectTimeout
	}
	a.s.DisconnectedAt = latest(a.at, a.s.ConnectedAt, a.s.LastLeftAt)
	a.emitDisconnected(reason)
}

// shown lists the identities that are shown, in the order in which they came to be.
func (a *application) shown() []string {
	var identities []string
	for identity, p := range a.s.Participants {
		if p.Shown() {
			identities = append(identities, identity)
		}
	}
	slices.SortFunc(identities, func(x, y string) int {
		return cmp.Compare(a.s.Participants[x].Episode, a.s.Participants[y].Episode)
	})
	return identities
}

func latest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}

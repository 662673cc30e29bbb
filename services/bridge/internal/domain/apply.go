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
	Outrun   Outcome = "outrun"   // the mapping has changed since the provider was asked
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

// Moment is when something is decided, and how long whoever was lost is waited for from then on.
type Moment struct {
	Now    time.Time
	Window time.Duration
}

// Apply returns the mapping after a fact about its room, and what follows. The moment's time stands in where the
// provider gave none.
func (m Mapping) Apply(f Fact, now Moment) (Mapping, Result) {
	a := begin(m, f.at(), now)
	if a.enter(f.room()) {
		a.apply(f)
	}
	a.settle()
	return a.end()
}

// application is facts being applied.
type application struct {
	s          State
	at         time.Time // when it happened
	deadline   time.Time // of the windows that open
	events     []Event
	outcome    Outcome
	changed    bool
	deleteRoom bool
	standings  []Standing
}

func begin(m Mapping, at time.Time, now Moment) *application {
	if at.IsZero() {
		at = now.Now
	}
	return &application{
		s: m.s.clone(), outcome: Late,
		at: instant(at), deadline: instant(now.Now.Add(now.Window)),
	}
}

// instant is a time as fine as stores keep it.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func (a *application) end() (Mapping, Result) {
	if a.changed {
		a.s.Revision++
		if a.outcome == Late {
			a.outcome = Applied
		}
	}
	return Mapping{s: a.s}, Result{Outcome: a.outcome, Events: a.events, DeleteRoom: a.deleteRoom, Standings: a.standings}
}

func (a *application) apply(f Fact) {
	if a.s.Room.Phase == PhaseFinished {
		a.applyAfterwards(f)
		return
	}
	switch f := f.(type) {
	case RoomStarted:
		a.signOfLife()
	case RoomFinished:
		a.finish(InOrder)
	case ParticipantJoined:
		a.signOfLife()
		a.withParticipant(f.Connection, a.join)
	case ParticipantLeft:
		a.leaves(f)
	case TrackPublished:
		a.signOfLife()
		a.withParticipant(f.Connection, func(p *Participant, c Connection) { a.publish(p, c, f.Track) })
	case TrackUnpublished:
		a.withParticipant(f.Connection, func(p *Participant, c Connection) { a.unpublish(p, c, f.Track) })
	}
}

// applyAfterwards takes what is told late of a room that is finished: who was in it, for as long as that says something about the call.
func (a *application) applyAfterwards(f Fact) {
	switch f := f.(type) {
	case ParticipantJoined:
		if a.s.over() {
			return
		}
		a.signOfLife()
		a.withParticipant(f.Connection, func(p *Participant, c Connection) {
			a.join(p, c)
			if p.Presence == Present {
				a.lose(p, unseen)
			}
		})
	case ParticipantLeft:
		if a.s.DisconnectedAt.IsZero() {
			a.leaves(f)
		}
	}
}

// leaves takes the end of a connection. LiveKit tells it only of those that were in the room, so it is a sign of life as well.
func (a *application) leaves(f ParticipantLeft) {
	if !a.s.over() && !neverIn(f.Reason) {
		a.signOfLife()
	}
	a.withParticipant(f.Connection, func(p *Participant, c Connection) { a.leave(p, c, f.Reason) })
}

// enter says whether a fact is about the room as it is now, and takes a newer room as the current one. Whoever was shown in the room
// before has lost it, without anybody having said so: the server was killed, and they may be back soon.
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
		return true
	case room.SID != "" && !later(r.CreatedAt, r.SID, room.CreatedAt, room.SID):
		return false
	}
	a.loseEverybody(vanished)
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
	if _, mapped := a.s.Participants[c.Identity]; !mapped {
		a.outcome = Unmapped
		return
	}
	a.with(c.Identity, func(p *Participant) { step(p, c) })
}

// finish closes the room. An empty room that finishes may start again.
func (a *application) finish(how Parting) {
	if how == Vanished {
		a.loseEverybody(vanished)
	} else {
		a.loseEverybody(unseen)
	}
	a.s.Room.Phase = PhaseFinished
	a.changed = true
	if !a.s.over() {
		return
	}
	for _, identity := range a.shown() {
		a.with(identity, func(p *Participant) { a.depart(p, events.LeaveRoomClosed) })
	}
}

// with runs step on a participant and keeps what it changed.
func (a *application) with(identity string, step func(*Participant)) {
	p := a.s.Participants[identity]
	step(&p)
	a.s.Participants[identity] = p
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

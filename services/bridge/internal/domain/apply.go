package domain

import (
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Apply returns the mapping after a fact that a webhook told about its room, and what follows. The
// moment's time stands in where the provider gave none.
func (m Mapping) Apply(f Fact, now Moment) (Mapping, Result) {
	t := begin(m, f.at(), now)
	if t.enterTold(f) {
		t.apply(f)
	}
	t.settle()
	return t.end()
}

// showsLife says whether a fact shows that its room, or its participant, is there at present.
func showsLife(f Fact) bool {
	switch f.(type) {
	case RoomStarted, ParticipantJoined, TrackPublished:
		return true
	default:
		return false
	}
}

// enterTold says whether a fact is about the current room, and takes a newer room as the current
// one. A room that is older by the provider's clock, and that no webhook told to be finished, may
// still be the current one: the provider is asked.
func (t *transition) enterTold(f Fact) bool {
	r, room := f.room(), t.s.Room
	switch {
	case r.SID == "":
		return false
	case r.SID == room.SID:
		t.learnCreation(r)
		return true
	case slices.Contains(room.Finished, r.SID):
		return false
	case room.SID == "" || later(r.CreatedAt, r.SID, room.CreatedAt, room.SID):
		t.takeRoom(r, Told)
		return true
	}
	t.notePast(f)
	if showsLife(f) && !t.s.over() {
		t.lookSoon()
	}
	return false
}

// notePast remembers ends that webhooks tell of an earlier room, so that no stale listing
// brings them back: a room's last webhooks often come when the next one is there.
func (t *transition) notePast(f Fact) {
	switch f := f.(type) {
	case RoomFinished:
		t.s.Room.Finished = remember(t.s.Room.Finished, f.Room.SID)
		t.changed = true
	case ParticipantLeft:
		if _, mapped := t.s.Participants[f.Identity]; mapped && f.SID != "" {
			t.with(f.Identity, func(p *Participant) {
				switch {
				case p.SID == f.SID:
					t.leave(p, f.Connection, f.Reason, f.Aborted || neverIn(f.Reason))
				case !p.endTold(f.SID):
					t.noteEnd(p, f.SID)
				}
			})
		}
	}
}

func (t *transition) apply(f Fact) {
	if t.s.Room.Phase == PhaseFinished {
		if !t.reopens(f) {
			t.applyAfterFinish(f)
			return
		}
		if !t.s.over() {
			t.reopen(Told)
			t.lookSoon()
		}
	}
	switch f := f.(type) {
	case RoomStarted:
		t.signOfLife()
	case RoomFinished:
		if t.at.After(t.s.Room.FinishedAt) {
			t.finishTold()
		}
	case ParticipantJoined:
		t.signOfLife()
		t.withTold(f.Connection, f, func(p *Participant) { t.join(p, f.Connection) })
	case ParticipantLeft:
		t.leaves(f)
	case TrackPublished:
		t.signOfLife()
		t.withTold(f.Connection, f, func(p *Participant) { t.publishes(p, f.Connection, f.Track) })
	case TrackUnpublished:
		t.withTold(f.Connection, f, func(p *Participant) { t.unpublish(p, f.Connection, f.Track) })
	}
}

// reopens says whether a fact takes back that the room is finished: any sign of life does where
// that was inferred, and one from after the finish does where that was told. Both are webhooks
// then, which the provider's clock orders.
func (t *transition) reopens(f Fact) bool {
	if t.s.Room.Evidence != Told {
		return showsLife(f) && !t.endKnown(f)
	}
	finished := t.s.Room.FinishedAt
	switch f := f.(type) {
	case RoomStarted:
		return !t.at.Before(finished)
	case ParticipantJoined:
		return f.JoinedAt.After(finished) && !t.endKnown(f)
	case TrackPublished:
		return f.Track.PublishedAt.After(finished) && !t.endKnown(f)
	default:
		return false
	}
}

// endKnown says whether the connection that a fact is about was told to have ended.
func (t *transition) endKnown(f Fact) bool {
	switch f := f.(type) {
	case ParticipantJoined:
		return t.s.Participants[f.Identity].endTold(f.SID)
	case TrackPublished:
		return t.s.Participants[f.Identity].endTold(f.SID)
	default:
		return false
	}
}

// applyAfterFinish takes late webhooks about a room that is finished: they show who was in it, for
// as long as that says something about the call.
func (t *transition) applyAfterFinish(f Fact) {
	switch f := f.(type) {
	case RoomFinished:
		if t.s.Room.Evidence != Told {
			t.finishTold()
		}
	case ParticipantJoined:
		if t.s.over() {
			return
		}
		t.signOfLife()
		t.withTold(f.Connection, f, func(p *Participant) {
			if f.SID == p.SID {
				return
			}
			t.join(p, f.Connection)
			if p.Presence == Present {
				t.lose(p, InOrder, time.Time{})
			}
		})
	case ParticipantLeft:
		if t.s.DisconnectedAt.IsZero() {
			t.leaves(f)
		}
	}
}

// leaves takes the end of a connection. The provider tells it only of those that were in the room,
// so it is a sign of life as well.
func (t *transition) leaves(f ParticipantLeft) {
	never := f.Aborted || neverIn(f.Reason)
	if !t.s.over() && !never {
		t.signOfLife()
	}
	t.withTold(f.Connection, f, func(p *Participant) { t.leave(p, f.Connection, f.Reason, never) })
}

// withTold runs step on the participant that a fact is about and keeps what it changed. An identity
// that isn't mapped, and extends one that is, has to go at once.
func (t *transition) withTold(c Connection, f Fact, step func(*Participant)) {
	_, mapped := t.s.Participants[c.Identity]
	if alive := showsLife(f) && !t.endKnown(f); alive && (t.s.over() || t.s.shadows(c.Identity)) {
		if t.putOut(c.Identity); len(t.remove) > 0 && !t.s.over() {
			t.lookSoon()
		}
	}
	if !mapped {
		t.outcome = Unmapped
		return
	}
	t.with(c.Identity, step)
}

// join takes a connection that a webhook tells to be fully in the room.
func (t *transition) join(p *Participant, c Connection) {
	switch {
	case c.SID == "" || p.endTold(c.SID):
	case c.SID == p.SID:
		if p.Presence != Present && !t.s.removed(p.UserID) {
			t.arrive(p) // Its end was inferred.
		}
	case t.newer(p, c):
		t.takeOver(p, c, Told)
		t.arrive(p)
	case p.Presence != Present && !p.endTold(p.SID) && !t.s.over():
		t.takeOver(p, c, Told) // What was inferred gives way, whatever clock this bears.
		t.arrive(p)
		t.lookSoon()
	case !t.s.over():
		t.lookSoon()
	}
}

// leave takes the end of a connection. Webhooks tell it of connections that were in the room, so it
// stands for the beginning as well where no webhook told that; never says that this connection was
// not in the room. Of a connection's end the first word counts.
func (t *transition) leave(p *Participant, c Connection, reason events.LeaveReason, never bool) {
	if c.SID == "" || p.endTold(c.SID) {
		return
	}
	if c.SID != p.SID {
		seen := p.Presence == Present && p.Evidence == Seen // by a listing, which is later than this webhook
		if never || seen || !t.newer(p, c) {
			t.noteEnd(p, c.SID)
			return
		}
		t.takeOver(p, c, Told)
		t.arrive(p)
	}
	t.endConnection(p, reason)
}

// publishes takes a track that a webhook tells to be published. A track of an unknown connection is
// evidence that there is one: the provider is asked.
func (t *transition) publishes(p *Participant, c Connection, track Track) {
	if track.SID == "" || c.SID == "" || t.s.over() || p.endTold(c.SID) {
		return
	}
	if c.SID != p.SID {
		if p.Evidence == Told && !track.PublishedAt.IsZero() && track.PublishedAt.Before(p.JoinedAt) {
			return // Of a connection before the current one.
		}
		t.await(p, c.SID, track)
		t.lookSoon()
		return
	}
	if p.Presence != Present && !t.s.removed(p.UserID) {
		t.arrive(p) // Its end was inferred.
	}
	if p.Presence == Present {
		t.publish(p, track, Told)
	}
}

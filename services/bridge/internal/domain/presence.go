package domain

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// join takes a connection that is fully in the room. Somebody who is shown already has only changed
// connections; that is nothing anybody needs to hear of, unless they were lost. Whoever is no member any more, and comes with a
// token from before, is not shown, and not for longer where they were.
func (a *application) join(p *Participant, c Connection) {
	if a.takeOver(p, c) {
		a.arrive(p)
	}
}

// arrive shows a participant whose current connection is in the room.
func (a *application) arrive(p *Participant) {
	if !a.hold(p) {
		if p.Shown() {
			a.depart(p, events.LeaveParticipantRemoved)
		}
		return
	}
	switch {
	case p.Presence == Present || p.Presence == Replaced:
		p.Presence, p.Window = Present, Window{}
	case a.s.over():
		// Never shown: the room is about to be deleted.
		return
	case p.Presence == Reconnecting:
		a.comeBack(p)
	default:
		a.s.Episode++
		p.Presence, p.Episode = Present, a.s.Episode
		if a.s.ConnectedAt.IsZero() {
			a.s.ConnectedAt = p.JoinedAt
			a.emitConnected(*p)
		}
		a.emitJoined(*p)
	}
	a.changed = true
	a.openAwaiting(p)
}

// leave takes the end of a connection. It is told only of connections that were in the room, so where the beginning was never told it
// tells that too. Of a connection's end the first word counts; what was only guessed from its absence gives way to what is told.
func (a *application) leave(p *Participant, c Connection, reason events.LeaveReason) {
	if p.SID != c.SID {
		if neverIn(reason) {
			if !p.Shown() {
				a.takeOver(p, c)
			}
			return
		}
		a.join(p, c)
		if p.SID != c.SID {
			return // An older connection's.
		}
	}
	switch {
	case !p.Shown():
	case a.s.over():
		a.depart(p, reason)
	case p.Window.Open() && p.Window.Told:
	case departureOf(reason) == orderly:
		a.depart(p, reason)
	case p.Window.Open():
		a.explain(p, reason)
	case departureOf(reason) == replaced:
		p.Presence = Replaced
		p.Window = Window{Reason: reason, Parting: InOrder, Told: true, Since: a.lossOf(p), Deadline: a.deadline}
		a.changed = true
	default:
		a.lose(p, loss{reason: reason, parting: Lost, told: true})
	}
}

// takeOver makes a newer connection the participant's current one and reports whether it is newer.
// The tracks of the connection before are gone with it; those that waited for this one stay.
func (a *application) takeOver(p *Participant, c Connection) bool {
	joinedAt := c.JoinedAt.UTC()
	if c.JoinedAt.IsZero() {
		joinedAt = a.at
	}
	if c.SID == "" || c.SID == p.SID {
		return false
	}
	if p.SID != "" && !later(joinedAt, c.SID, p.JoinedAt, p.SID) {
		return false
	}
	a.closeTracks(p, joinedAt)
	p.SID, p.JoinedAt = c.SID, joinedAt
	p.keepTracks(func(t Track) bool { return t.Awaits == c.SID })
	a.changed = true
	return true
}

// depart ends a participant's episode now, whatever window is open.
func (a *application) depart(p *Participant, reason events.LeaveReason) {
	at := a.endOf(p)
	parting := InOrder
	if departureOf(reason) == lost {
		parting = Lost
	}
	if !at.Before(a.s.LastLeftAt) {
		a.s.LastLeftAt, a.s.LastLeft = at, parting
	}
	a.part(p, reason, at, at)
}

// part takes a participant out of the call, who left at a time of which it is known now that it was for good.
func (a *application) part(p *Participant, reason events.LeaveReason, left, at time.Time) {
	a.closeTracks(p, left)
	p.Presence, p.Window = Absent, Window{}
	p.keepTracks(func(t Track) bool { return t.Awaits != "" && t.Awaits != p.SID })
	a.emitLeft(*p, reason, left, at)
	a.changed = true
}

// endOf is when the current connection ended: now, but never before what it is known to have done.
func (a *application) endOf(p *Participant) time.Time {
	at := latest(a.at, p.JoinedAt)
	for _, t := range p.Tracks {
		if t.Awaits == "" {
			at = latest(at, t.PublishedAt)
		}
	}
	return at
}

// publish opens a track of the current connection, once. The provider tells of a connection when it is
// fully in the room, which may come after its first track: such a track is kept for the join.
func (a *application) publish(p *Participant, c Connection, t Track) {
	if t.SID == "" || c.SID == "" || a.s.over() {
		return
	}
	if _, known := p.Tracks[t.SID]; known {
		return
	}
	if t.PublishedAt.IsZero() {
		t.PublishedAt = a.at
	}
	t.PublishedAt = t.PublishedAt.UTC()
	switch {
	case p.SID != c.SID && t.PublishedAt.Before(p.JoinedAt):
		// Of a connection before the current one.
	case p.SID != c.SID:
		t.Open, t.Awaits = false, c.SID
		a.keepTrack(p, t)
	case p.Presence == Present:
		a.openTrack(p, t)
	}
}

func (a *application) openTrack(p *Participant, t Track) {
	t.Open, t.Awaits = true, ""
	a.keepTrack(p, t)
	a.emitPublished(*p, t)
}

// openAwaiting opens the tracks that waited for the current connection, which is in the room now.
func (a *application) openAwaiting(p *Participant) {
	for _, t := range p.tracksInOrder(func(t Track) bool { return t.Awaits == p.SID }) {
		a.openTrack(p, t)
	}
}

// unpublish closes a track. One that was never seen open is remembered as closed.
func (a *application) unpublish(p *Participant, c Connection, t Track) {
	known, seen := p.Tracks[t.SID]
	if seen && known.Awaits != "" && known.Awaits == c.SID {
		p.keepTracks(func(kept Track) bool { return kept.SID != t.SID })
		a.changed = true
		return
	}
	if p.SID != c.SID || !p.Shown() || t.SID == "" {
		return
	}
	switch {
	case !seen:
		t.Open = false
		t.PublishedAt = latest(t.PublishedAt.UTC(), p.JoinedAt)
		a.keepTrack(p, t)
	case known.Open:
		a.closeTrack(p, known, a.at)
	}
}

// closeTracks closes what is open, in the order in which it was opened.
func (a *application) closeTracks(p *Participant, at time.Time) {
	for _, t := range p.tracksInOrder(func(t Track) bool { return t.Open }) {
		a.closeTrack(p, t, at)
	}
}

func (a *application) closeTrack(p *Participant, t Track, at time.Time) {
	t.Open = false
	a.keepTrack(p, t)
	a.emitUnpublished(*p, t, latest(at, t.PublishedAt))
}

func (a *application) keepTrack(p *Participant, t Track) {
	if p.Tracks == nil {
		p.Tracks = map[string]Track{}
	}
	p.Tracks[t.SID] = t
	a.changed = true
}

// tracksInOrder lists the tracks wanted, in the order in which they were published.
func (p *Participant) tracksInOrder(wanted func(Track) bool) []Track {
	var list []Track
	for _, t := range p.Tracks {
		if wanted(t) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(x, y Track) int {
		return cmp.Or(x.PublishedAt.Compare(y.PublishedAt), cmp.Compare(x.SID, y.SID))
	})
	return list
}

// keepTracks forgets every other track.
func (p *Participant) keepTracks(wanted func(Track) bool) {
	maps.DeleteFunc(p.Tracks, func(_ string, t Track) bool { return !wanted(t) })
	if len(p.Tracks) == 0 {
		p.Tracks = nil
	}
}

package domain

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// publish opens a track of the current connection. One whose end was told stays closed; an end that
// was inferred is undone, in a new episode of the track.
func (t *transition) publish(p *Participant, track Track, how Evidence) {
	known, exists := p.Tracks[track.SID]
	switch {
	case !exists:
	case known.Open, known.Awaits == "" && known.Evidence == Told:
		return
	case known.Awaits == "":
		track.Episode = known.Episode + 1
	default:
		track = known
	}
	if track.PublishedAt.IsZero() {
		track.PublishedAt = t.at
	}
	track.PublishedAt = track.PublishedAt.UTC()
	track.Open, track.Awaits, track.Evidence = true, "", how
	t.keepTrack(p, track)
	t.emitPublished(*p, track)
}

// await keeps a track of a connection that has not joined yet: webhooks tell of a connection when
// it is fully in the room, which may come after its first track.
func (t *transition) await(p *Participant, sid string, track Track) {
	if _, exists := p.Tracks[track.SID]; exists {
		return
	}
	if track.PublishedAt.IsZero() {
		track.PublishedAt = t.at
	}
	track.PublishedAt = track.PublishedAt.UTC()
	track.Open, track.Awaits, track.Evidence = false, sid, Told
	t.keepTrack(p, track)
}

// publishAwaiting opens the tracks that waited for the current connection, which is in the room now.
// When none waits any more, the look that they called for isn't needed.
func (t *transition) publishAwaiting(p *Participant) {
	awaiting := p.tracksInOrder(func(track Track) bool { return track.Awaits == p.SID })
	for _, track := range awaiting {
		t.publish(p, track, Told)
	}
	if len(awaiting) > 0 && !p.awaits() && !t.s.awaits(p.Identity) {
		t.s.LookAt = time.Time{}
	}
}

// awaits says whether a track of the participant waits for its connection.
func (p *Participant) awaits() bool {
	return len(p.tracksInOrder(func(track Track) bool { return track.Awaits != "" })) > 0
}

// awaits says whether a track of another participant waits for its connection.
func (s State) awaits(but string) bool {
	for identity, p := range s.Participants {
		if identity != but && p.awaits() {
			return true
		}
	}
	return false
}

// unpublish closes a track, as was told. One that was never seen open is remembered as closed.
func (t *transition) unpublish(p *Participant, c Connection, track Track) {
	known, exists := p.Tracks[track.SID]
	if exists && known.Awaits != "" && known.Awaits == c.SID {
		p.keepTracks(func(kept Track) bool { return kept.SID != track.SID })
		t.changed = true
		return
	}
	if p.SID != c.SID || !p.Shown() || track.SID == "" {
		return
	}
	switch {
	case !exists:
		track.Open, track.Evidence = false, Told
		track.PublishedAt = latest(track.PublishedAt.UTC(), p.JoinedAt)
		t.keepTrack(p, track)
	case known.Open:
		t.closeTrack(p, known, t.at, Told)
	case known.Evidence == Inferred:
		known.Evidence = Told
		t.keepTrack(p, known)
	}
}

// closeTracks closes what is open, in the order in which it was opened: the connection has ended.
func (t *transition) closeTracks(p *Participant, at time.Time) {
	for _, track := range p.tracksInOrder(func(track Track) bool { return track.Open }) {
		t.closeTrack(p, track, at, Inferred)
	}
}

func (t *transition) closeTrack(p *Participant, track Track, at time.Time, how Evidence) {
	track.Open, track.Evidence = false, how
	t.keepTrack(p, track)
	t.emitUnpublished(*p, track, latest(at, track.PublishedAt))
}

func (t *transition) keepTrack(p *Participant, track Track) {
	if p.Tracks == nil {
		p.Tracks = map[string]Track{}
	}
	p.Tracks[track.SID] = track
	t.changed = true
}

// tracksInOrder lists the tracks wanted, in the order in which they were published.
func (p *Participant) tracksInOrder(wanted func(Track) bool) []Track {
	var list []Track
	for _, track := range p.Tracks {
		if wanted(track) {
			list = append(list, track)
		}
	}
	slices.SortFunc(list, func(x, y Track) int {
		return cmp.Or(x.PublishedAt.Compare(y.PublishedAt), cmp.Compare(x.SID, y.SID))
	})
	return list
}

// keepTracks forgets every other track.
func (p *Participant) keepTracks(wanted func(Track) bool) {
	maps.DeleteFunc(p.Tracks, func(_ string, track Track) bool { return !wanted(track) })
	if len(p.Tracks) == 0 {
		p.Tracks = nil
	}
}

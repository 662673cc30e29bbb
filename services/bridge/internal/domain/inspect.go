package domain

import (
	"slices"
	"time"
)

// Inspect compares what the provider lists, and answers of those it was asked for, with what the
// mapping shows. It returns the mapping after what follows, the consequences, and what is missing
// for the first time. Where Result.Ask names identities, the provider is to be asked for them, and
// the inspection to be made once more with the answers. A mapping that has changed since its
// revision was read is left as it is: the listing may be older than the change.
func (m Mapping) Inspect(i Inspection, now Moment) (Mapping, Result, Missing) {
	if m.s.Revision != i.Revision {
		return m, Result{Outcome: Conflict}, Missing{}
	}
	t := begin(m, now.Now, now)
	d := t.diff(i)
	if !t.s.LookAt.IsZero() && !t.s.LookAt.After(t.now) {
		t.s.LookAt = time.Time{}
		t.changed = true
	}
	if i.Listing.Room.SID != "" || d.found() {
		d.room()
	} else {
		d.noRoom()
	}
	if i.Expire {
		d.expireDue()
	}
	t.settle()
	changed, result := t.end()
	if changed.s.DisconnectedAt != m.s.DisconnectedAt && !d.emptied() {
		return m, Result{Outcome: Duplicate, Ask: t.asked()}, d.missing
	}
	return changed, result, d.missing
}

// emptied says whether no member who was given a token is in the room, and asks for those of whom
// that isn't known: a call is not ended by what is missing while one of them may have come unseen.
func (d *listingDiff) emptied() bool {
	emptied := true
	for identity := range d.s.Participants {
		if d.s.isActiveMember(identity) && !d.denied(identity) {
			emptied = false
		}
	}
	return emptied
}

// room is what follows where the room is there.
func (d *listingDiff) room() {
	if !d.enterSeen() {
		return
	}
	d.signOfLife()
	for _, identity := range d.order() {
		entry := d.listed[identity]
		if d.s.shadows(identity) {
			d.putOut(identity)
		}
		if _, mapped := d.s.Participants[identity]; !mapped {
			continue
		}
		d.askSilent(identity)
		if entry.State == Active {
			d.with(identity, func(p *Participant) { d.present(p, entry) })
			d.settle()
		}
	}
	d.absences()
	d.unattended()
}

// order lists the identities that are listed, always in the same order.
func (d *listingDiff) order() []string {
	identities := make([]string, 0, len(d.listed))
	for identity := range d.listed {
		identities = append(identities, identity)
	}
	slices.SortFunc(identities, func(a, b string) int {
		if order := d.listed[a].JoinedAt.Compare(d.listed[b].JoinedAt); order != 0 {
			return order
		}
		if a < b {
			return -1
		}
		return 1
	})
	return identities
}

// enterSeen says whether the room that is listed, or in which a participant answered, is the
// current one, and takes another one as such. A listing is later than what is known of the
// mapping's revision, so it wins with another sid, whatever the clocks say; where the clocks say
// otherwise, and the known room isn't finished, when it is confirmed. A finish that was told stands
// for that sid, unless a connection is listed that is new.
func (d *listingDiff) enterSeen() bool {
	r, room := d.Listing.Room, d.s.Room
	switch {
	case r.SID == "" && room.SID == "":
		return false // A participant answers, and the room's sid isn't known before a listing or a webhook shows it.
	case r.SID == "" || r.SID == room.SID:
		d.learnCreation(r)
	case slices.Contains(room.Finished, r.SID):
		return false
	case d.doubtfulRoom(r):
		d.missing.OtherRoom = r.SID
		return false
	default:
		d.takeRoom(r, Seen)
		return true
	}
	if room.Phase != PhaseFinished || d.s.over() {
		return true
	}
	if room.Evidence == Told && (r.SID == "" || !d.newConnection()) {
		return false
	}
	d.reopen(Seen)
	return true
}

// doubtfulRoom says whether a listed room is older, by the provider's clock, than the one that is
// known to be open, and is listed for the first time, or those who are present contradict it.
func (d *listingDiff) doubtfulRoom(r RoomRef) bool {
	room := d.s.Room
	if room.SID == "" || room.Phase != PhaseOpen || later(r.CreatedAt, r.SID, room.CreatedAt, room.SID) {
		return false
	}
	again := d.confirmed() && d.Before.OtherRoom == r.SID
	return !again || d.contradicted()
}

// contradicted says whether a participant who is present answers by the known connection, and asks
// for those of whom no answer is there.
func (d *listingDiff) contradicted() bool {
	contradicted := false
	for _, identity := range d.shown() {
		p, answer := d.s.Participants[identity], d.Answers[identity]
		switch {
		case p.Presence != Present:
		case answer.Kind == 0:
			d.ask = append(d.ask, identity)
			contradicted = true
		default:
			contradicted = contradicted || answer.Kind == Found && answer.Found.SID == p.SID
		}
	}
	return contradicted
}

// newConnection says whether a member's connection is listed of which nothing was known.
func (d *listingDiff) newConnection() bool {
	for identity, entry := range d.listed {
		p, mapped := d.s.Participants[identity]
		if mapped && entry.State == Active && entry.SID != p.SID && !p.endTold(entry.SID) {
			return true
		}
	}
	return false
}

// present is what follows of an active connection. One whose end was told stays ended. One whose
// end was inferred is there again; where that was its node's silence, only when the node answers.
// Another connection than the known one is the current one.
func (d *listingDiff) present(p *Participant, entry Listed) {
	switch {
	case entry.SID == "", !d.stands(p.Identity):
		return
	case entry.SID == p.SID:
		if p.Presence != Present && !d.s.removed(p.UserID) {
			d.arrive(p)
		}
	case d.doubtful(p, entry):
		d.missing.Others[p.Identity] = entry.SID
		return
	default:
		d.takeOver(p, entry.Connection, Seen)
		d.arrive(p)
	}
	if !d.s.over() {
		d.comparePermission(*p, entry)
	}
	if p.Presence == Present {
		d.compareTracks(p, entry.Tracks)
	}
}

// doubtful says whether a listed connection is older, by the provider's clock, than one that is
// known to be there, and is listed for the first time.
func (d *listingDiff) doubtful(p *Participant, entry Listed) bool {
	again := d.confirmed() && d.Before.Others[p.Identity] == entry.SID
	return !again && p.Presence == Present && !d.answered(p.Identity) && !d.newer(p, entry.Connection)
}

func (d *listingDiff) compareTracks(p *Participant, tracks []Track) {
	if d.s.over() {
		return
	}
	for _, track := range tracks {
		if track.SID != "" {
			d.publish(p, track, Seen)
		}
	}
	for _, track := range p.tracksInOrder(func(track Track) bool { return track.Open }) {
		listed := slices.ContainsFunc(tracks, func(other Track) bool { return other.SID == track.SID })
		switch {
		case listed:
		case d.confirmed() && d.Before.Tracks[track.SID]:
			d.closeTrack(p, track, d.at, Inferred)
		default:
			d.missing.Tracks[track.SID] = true
		}
	}
}

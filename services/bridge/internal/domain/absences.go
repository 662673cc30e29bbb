package domain

import "time"

// roomCloseSlack is how long after its departure timeout a room may still be listed that all have
// left: the provider closes rooms a few seconds late.
const roomCloseSlack = 10 * time.Second

// noRoom is what follows where the provider has no such room. It counts when it is confirmed, and
// when those who are present were asked for and aren't there: an empty room was closed in order,
// otherwise it was lost. A participant who was missed before, while it was still there, had gone
// before it did.
func (d *listingDiff) noRoom() {
	room := d.s.Room
	if room.Phase != PhaseOpen {
		return
	}
	if !d.confirmed() || d.Before.RoomSID != room.SID {
		d.absences()
		d.missing.RoomSID = room.SID
		return
	}
	denied := true
	for _, identity := range d.shown() {
		if d.s.Participants[identity].Presence == Present {
			denied = d.denied(identity) && denied // Each of them is asked for.
		}
	}
	if denied {
		d.finishInferred(Vanished, d.now)
	}
}

// absences takes for lost whom two listings miss, or, where they are listed, of whom two answers
// say that no node has them. A participant who isn't listed is asked for before.
func (d *listingDiff) absences() {
	for _, identity := range d.shown() {
		p := d.s.Participants[identity]
		if p.Presence != Present {
			continue
		}
		entry, there := d.listed[identity]
		switch {
		case there && (entry.State == Connecting || entry.SID == p.SID):
			d.silence(p)
		case d.confirmed() && d.Before.Participants[identity] == p.SID:
			if d.denied(identity) {
				d.with(identity, func(p *Participant) { d.lose(p, InOrder, d.now) })
			} else {
				d.missing.Participants[identity] = p.SID
			}
		default:
			d.missing.Participants[identity] = p.SID
		}
	}
}

// silence takes a participant for lost who is listed, and of whom two answers say that no node has
// them: the listing is stale, and the node that had them is gone.
func (d *listingDiff) silence(p Participant) {
	switch {
	case d.Answers[p.Identity].Kind != NoResponse:
	case d.confirmed() && d.Before.Unanswered[p.Identity] == p.SID:
		d.with(p.Identity, func(p *Participant) {
			p.Unanswered = true
			d.lose(p, Vanished, d.now)
		})
	default:
		d.missing.Unanswered[p.Identity] = p.SID
	}
}

// expireDue ends the grace periods whose time is over, of participants of whom two answers, one of
// them now, say that they aren't there. A participant who is listed on their way in is asked for,
// too: the entry may be all that is left of a node that is gone.
func (d *listingDiff) expireDue() {
	for _, identity := range d.shown() {
		p := d.s.Participants[identity]
		at := p.Grace.checkAt()
		arrived := d.stands(identity) && d.listed[identity].State == Active
		if at.IsZero() || at.After(d.now) || arrived || !d.denied(identity) {
			continue
		}
		d.with(identity, func(p *Participant) {
			if p.Grace.DeniedAt.IsZero() {
				p.Grace.DeniedAt = d.now
				d.changed = true
				return
			}
			d.expire(p)
		})
	}
}

// unattended ends a call that only a listed room keeps open: one without a member, and without a
// phone. The provider closes a room that all have left by itself, and not always tells so; one in
// which there are still strangers, agents and recorders has to be deleted.
func (d *listingDiff) unattended() {
	if d.s.over() || d.s.Room.Phase != PhaseOpen || d.Listing.Room.SID == "" {
		return
	}
	attended, others := d.attended()
	since := d.s.UnattendedSince
	if attended != since.IsZero() {
		d.s.UnattendedSince = time.Time{}
		if !attended {
			d.s.UnattendedSince = d.now
		}
		d.changed = true
		return
	}
	waited := d.now.Sub(since)
	switch {
	case attended:
	case waited >= d.policy.EmptyTimeout:
		d.deleteRoom = true
		if !d.s.ConnectedAt.IsZero() {
			d.finishInferred(InOrder, time.Time{})
		}
	case !others && !d.s.ConnectedAt.IsZero() && waited >= d.policy.DepartureTimeout+roomCloseSlack:
		d.deleteRoom = true
		d.finishInferred(InOrder, time.Time{})
	}
}

// attended says whether a member is shown, or a member or a phone is listed, and whether others
// are. With no member shown, those listed are asked for: the entry may be all that is left of a
// node that is gone.
func (d *listingDiff) attended() (attended, others bool) {
	if len(d.shown()) > 0 {
		return true, false
	}
	for identity, entry := range d.listed {
		switch {
		case d.s.isActiveMember(identity):
			attended = attended || d.stands(identity) && d.alive(identity)
		case entry.Kind == Phone:
			attended = attended || d.alive(identity)
		default:
			others = true
		}
	}
	return attended, others
}

// alive says whether nothing contradicts that a listed participant is there, and asks for them.
func (d *listingDiff) alive(identity string) bool {
	kind := d.Answers[identity].Kind
	if kind == 0 {
		d.ask = append(d.ask, identity)
	}
	return kind != NoResponse
}

package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// ListedState is how far a listed connection has come.
type ListedState int

// The states of a listed connection.
const (
	Connecting ListedState = iota // on its way into the room
	Active                        // fully in the room
)

// OtherRole is the role of a participant whose rights are those of no role.
const OtherRole events.Role = "other"

// Listed is a participant as the provider lists them.
type Listed struct {
	Connection

	Kind   Kind
	State  ListedState
	Role   events.Role // whose rights they have; OtherRole where those are of none, "" where that isn't known
	Tracks []Track
}

// Listing is what the provider answers when it is asked who is in a room. The sid of a room that
// isn't there is "". A call that failed is no listing.
type Listing struct {
	Room         RoomRef
	Participants []Listed
}

// Missing is what one inspection found against what a mapping shows, for the next one to confirm.
// It is told by sids, so that what was replaced meanwhile isn't taken for gone.
type Missing struct {
	At           time.Time
	RoomSID      string            // of the room that isn't listed; "" where it was
	OtherRoom    string            // sid of a room that is listed in place of one that was told of
	Participants map[string]string // sids of connections that aren't listed, by identity
	Others       map[string]string // sids that are listed in place of connections that were told of
	Unanswered   map[string]string // sids of connections that are listed, and that no node answers for
	Tracks       map[string]bool   // by sid
}

// IsEmpty says whether nothing is to be confirmed.
func (m Missing) IsEmpty() bool {
	return m.RoomSID == "" && m.OtherRoom == "" &&
		len(m.Participants)+len(m.Others)+len(m.Unanswered)+len(m.Tracks) == 0
}

// Inspection is a listing of a mapping's room and what is needed to judge it.
type Inspection struct {
	Listing  Listing
	Answers  map[string]Answer // of those who were asked for, by identity
	Silent   map[string]bool   // identities that are listed, and that must be asked for: they gave no sign of life for long
	Revision int64             // of the mapping, read before the provider was asked
	Before   Missing           // what an earlier inspection found missing
	Expire   bool              // end the grace periods whose time is over
}

// listingDiff is one inspection going on.
type listingDiff struct {
	*transition
	Inspection

	listed  map[string]Listed // connections by identity, what a node answered in place of what the listing shows
	missing Missing
}

func (t *transition) diff(i Inspection) *listingDiff {
	d := &listingDiff{transition: t, Inspection: i, listed: map[string]Listed{}, missing: Missing{
		At: t.now, Participants: map[string]string{}, Others: map[string]string{}, Unanswered: map[string]string{}, Tracks: map[string]bool{},
	}}
	for _, p := range i.Listing.Participants {
		d.listed[p.Identity] = p
	}
	for identity, answer := range i.Answers {
		if answer.Kind == Found {
			d.listed[identity] = answer.Found
		}
	}
	return d
}

// confirmed says whether the time since the earlier inspection is enough for it to count.
func (d *listingDiff) confirmed() bool {
	return !d.Before.IsEmpty() && d.now.Sub(d.Before.At) >= ConfirmDelay
}

// answered says whether the node of the room answered with the connection.
func (d *listingDiff) answered(identity string) bool { return d.Answers[identity].Kind == Found }

// found says whether one of those who were asked for is there.
func (d *listingDiff) found() bool {
	for identity := range d.Answers {
		if d.answered(identity) {
			return true
		}
	}
	return false
}

// denied says whether the provider was asked for the identity and said that it isn't there, and
// asks for it where it wasn't. Not found proves nothing while a listing shows the connection.
func (d *listingDiff) denied(identity string) bool {
	switch d.Answers[identity].Kind {
	case NoResponse:
		return true
	case NotFound:
		return !d.stands(identity)
	case Found:
		return false
	default:
		d.ask = append(d.ask, identity)
		return false
	}
}

// askSilent asks for a participant who is listed and gave no sign of life for long, or whose node
// gave no response before.
func (d *listingDiff) askSilent(identity string) {
	if d.Answers[identity].Kind == 0 && (d.Silent[identity] || d.Before.Unanswered[identity] != "") {
		d.ask = append(d.ask, identity)
	}
}

// stands says whether the participant is there by the listing, or on their way: a connection is
// listed whose end was neither told nor inferred from its node's silence.
func (d *listingDiff) stands(identity string) bool {
	entry, there := d.listed[identity]
	p := d.s.Participants[identity]
	switch {
	case !there || p.endTold(entry.SID):
		return false
	case entry.SID == p.SID && p.Unanswered:
		return d.answered(identity)
	default:
		return true
	}
}

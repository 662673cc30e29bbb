package simulation

import (
	"maps"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// Lie is a way in which the provider's answers are wrong.
type Lie string

// The lies. Away is about everything, HidePerson and Ghost are about a participant, the others
// about a room.
const (
	HideRoom       Lie = "hide room"        // the room is left out of listings
	HidePerson     Lie = "hide person"      // a participant is left out of the listing
	Freeze         Lie = "freeze"           // the listing stays as it is now
	Ghost          Lie = "ghost"            // an ended connection is listed in place of the current one
	OldRoom        Lie = "old room"         // the room before the current one is listed
	ListFails      Lie = "list fails"       // an error for this room
	RoomsFail      Lie = "rooms fail"       // no list of all rooms
	AskFails       Lie = "ask fails"        // no answer for participants of the room
	AskNotFound    Lie = "ask not found"    // participants who are there are not found
	AskNoResponse  Lie = "ask no response"  // no response for participants who are there
	DeleteFails    Lie = "delete fails"     // an error, and nothing happens
	DeleteNotFound Lie = "delete not found" // not found, and nothing happens
	RemoveFails    Lie = "remove fails"     // the same for the removal of a participant
	RemoveNotFound Lie = "remove not found" // the same
	RoleFails      Lie = "role fails"       // the same for the change of a role
	RoleNotFound   Lie = "role not found"   // the same
	Ignored        Lie = "ignored"          // changes are not made, and answered with success
	AnswersLost    Lie = "answers are lost" // changes are made, and answered with an error
	Slow           Lie = "slow"             // answers are seconds old when they come
	Away           Lie = "away"             // nothing answers
)

// Lies lists every lie.
var Lies = []Lie{
	HideRoom, HidePerson, Freeze, Ghost, OldRoom, ListFails, RoomsFail, AskFails, AskNotFound, AskNoResponse,
	DeleteFails, DeleteNotFound, RemoveFails, RemoveNotFound, RoleFails, RoleNotFound, Ignored, AnswersLost, Slow, Away,
}

// aboutPerson says whether a lie is about one participant.
func (l Lie) aboutPerson() bool { return l == HidePerson || l == Ghost }

// told is a lie about a room or a participant.
type told struct {
	lie      Lie
	room     string // "" for Away
	identity string // "" unless the lie is about one participant
}

// inRoom is an identity in a room.
type inRoom struct{ room, identity string }

// liar is the lies that are told at present, and what they need.
type liar struct {
	active map[told]bool
	frozen map[string]domain.Listing // by room
	closed map[string]domain.Listing // the last room of each name that is gone
	denied map[inRoom]time.Time      // when a participant who was there was last said not to be
}

func newLiar() liar {
	return liar{
		active: map[told]bool{}, frozen: map[string]domain.Listing{}, closed: map[string]domain.Listing{},
		denied: map[inRoom]time.Time{},
	}
}

// begin has a lie told from now on.
func (p *Provider) begin(lie Lie, name, identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !lie.aboutPerson() {
		identity = ""
	}
	if lie == Away {
		name = ""
	}
	if lie == Freeze {
		p.lies.frozen[name] = p.truth(name)
	}
	p.lies.active[told{lie, name, identity}] = true
}

// honest ends all lies.
func (p *Provider) honest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.lies.active)
}

// lying says whether a lie about a room is told.
func (p *Provider) lying(lie Lie, name string) bool { return p.lies.active[told{lie: lie, room: name}] }

// keep remembers a room that is gone, with the last connection of each identity.
func (l *liar) keep(r *room) {
	listing := domain.Listing{Room: domain.RoomRef{Name: r.name, SID: r.sid, CreatedAt: r.createdAt}}
	last := maps.Clone(r.past)
	maps.Copy(last, r.people)
	for _, identity := range sorted(last) {
		listing.Participants = append(listing.Participants, last[identity].listed())
	}
	l.closed[r.name] = listing
}

// listing is what the provider says of a room.
func (p *Provider) listing(name string) domain.Listing {
	if p.lying(Freeze, name) {
		return p.lies.frozen[name]
	}
	if p.lying(HideRoom, name) {
		return domain.Listing{}
	}
	if old, kept := p.lies.closed[name]; kept && p.lying(OldRoom, name) {
		return old
	}
	honest := p.truth(name)
	listing := domain.Listing{Room: honest.Room}
	for _, entry := range honest.Participants {
		if p.lies.active[told{HidePerson, name, entry.Identity}] || p.ghost(name, entry.Identity) != nil {
			continue
		}
		listing.Participants = append(listing.Participants, entry)
	}
	if r := p.rooms[name]; r != nil {
		for _, identity := range sorted(r.past) {
			if ghost := p.ghost(name, identity); ghost != nil {
				listing.Participants = append(listing.Participants, ghost.listed())
			}
		}
	}
	return listing
}

func (p *Provider) ghost(name, identity string) *person {
	if r := p.rooms[name]; r != nil && p.lies.active[told{Ghost, name, identity}] {
		return r.past[identity]
	}
	return nil
}

// truth is what an honest listing shows: what nodes hold, and what the store kept of dead ones.
func (p *Provider) truth(name string) domain.Listing {
	r := p.rooms[name]
	if r == nil {
		return domain.Listing{}
	}
	listing := domain.Listing{Room: domain.RoomRef{Name: r.name, SID: r.sid, CreatedAt: r.createdAt}}
	for _, identity := range sorted(r.people) {
		listing.Participants = append(listing.Participants, r.people[identity].listed())
	}
	for _, identity := range sorted(r.stale) {
		listing.Participants = append(listing.Participants, r.stale[identity].listed())
	}
	return listing
}

func (who *person) listed() domain.Listed {
	state := domain.Active
	if !who.activeAt.IsZero() {
		state = domain.Connecting
	}
	return domain.Listed{Connection: who.connection(), Kind: who.kind, State: state, Role: who.role, Tracks: who.tracks}
}

// liedAbout says whether the provider lied, not long ago, that a participant isn't there.
func (p *Provider) liedAbout(name, identity string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, lied := p.lies.denied[inRoom{name, identity}]
	return lied && time.Since(at) < 3*grace
}

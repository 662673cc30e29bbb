package simulation

import (
	"slices"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	// connectedFor is how long a member has been in the room whom no inference may end: what was
	// under way when they came is over by then.
	connectedFor = 20 * time.Second
	// endsKept is how many told ends of one identity the bridge has to remember.
	endsKept = 8
)

// rules is what must hold of every event that the bridge emits, whatever lies are told.
type rules struct {
	provider *Provider
	room     string

	mu      sync.Mutex
	ended   map[string][]string    // sids whose end was told, by identity, the newest last
	denials map[string][]time.Time // when answers said that they are not there, since they were shown last
}

func newRules(provider *Provider, room string) *rules {
	return &rules{provider: provider, room: room, ended: map[string][]string{}, denials: map[string][]time.Time{}}
}

// hear takes note of what a webhook told.
func (r *rules) hear(hook ports.Webhook) {
	left, is := hook.Fact.(domain.ParticipantLeft)
	if !is {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := slices.DeleteFunc(r.ended[left.Identity], func(sid string) bool { return sid == left.SID })
	ended = append(ended, left.SID)
	r.ended[left.Identity] = ended[max(0, len(ended)-endsKept):]
}

// denied takes note of an answer that a participant isn't there.
func (r *rules) denied(identity string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denials[identity] = append(r.denials[identity], time.Now())
}

// broken lists the rules that an event breaks, with the mapping as it is after it.
func (r *rules) broken(e events.Envelope, m domain.Mapping) faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	var f faults
	switch e.Type {
	case events.CallParticipantJoined, events.CallParticipantReconnected:
		r.arrives(&f, read[events.CallParticipantReconnectedPayload](e))
	case events.CallParticipantReconnecting:
		lost := read[events.CallParticipantReconnectingPayload](e)
		if lost.Reason == events.LeaveUnknown {
			r.vanishes(&f, lost, m)
		}
	case events.CallParticipantLeft:
		left := read[events.CallParticipantLeftPayload](e)
		if inferred := left.Reason == events.LeaveReconnectTimeout || left.Reason == events.LeaveUnknown; inferred && !m.Over() {
			r.expires(&f, left.Identity, m)
		}
	case events.CallDisconnected:
		r.ends(&f, m)
	default:
	}
	return f
}

// arrives holds that no connection is shown whose end was told.
func (r *rules) arrives(f *faults, who events.CallParticipantReconnectedPayload) {
	delete(r.denials, who.Identity)
	if slices.Contains(r.ended[who.Identity], who.ParticipantSID) {
		f.add("%s is shown with %s, whose end was told", who.Identity, who.ParticipantSID)
	}
}

// vanishes holds that no connection is taken for lost that is in the room. One that is known to be in
// another room, since an answer doesn't say in which one it is, is lost with that for a moment.
func (r *rules) vanishes(f *faults, lost events.CallParticipantReconnectingPayload, m domain.Mapping) {
	who, there := r.present(lost.Identity, m)
	if there && who.sid == lost.ParticipantSID && r.provider.roomSID(r.room) == lost.RoomSID {
		f.add("%s is taken for lost, and is in the room", lost.Identity)
	}
}

// expires holds that whom no webhook told to have left was asked for twice, and isn't there.
func (r *rules) expires(f *faults, identity string, m domain.Mapping) {
	if _, there := r.present(identity, m); there {
		f.add("%s is taken for gone, and is in the room", identity)
	}
	denials := r.denials[identity]
	if n := len(denials); n < 2 || denials[n-1].Sub(denials[0]) < domain.ConfirmDelay {
		f.add("%s is taken for gone after %d answers", identity, n)
	}
}

// ends holds that no inference ends a call that a member is in.
func (r *rules) ends(f *faults, m domain.Mapping) {
	if m.State().Room.Evidence == domain.Told {
		return // The finish of the room was told.
	}
	for identity := range r.provider.inRoom(r.room) {
		if _, there := r.present(identity, m); there {
			f.add("the call ends while %s is in the room", identity)
		}
	}
}

// present says whether a member is in the room of whom the provider did not say lately that they
// aren't.
func (r *rules) present(identity string, m domain.Mapping) (person, bool) {
	who, in := r.provider.inRoom(r.room)[identity]
	connected := in && who.activeAt.IsZero() && who.goneAt.IsZero() && time.Since(who.enteredAt) >= connectedFor
	return who, connected && m.IsActiveMember(identity) && !r.provider.liedAbout(r.room, identity)
}

package domain

import (
	"cmp"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// lookDelay is how long evidence that can't be placed waits for more before the provider is asked.
const lookDelay = time.Second

// Outcome says what evidence did to a mapping.
type Outcome string

// The outcomes.
const (
	Applied   Outcome = "applied"  // the mapping changed
	Duplicate Outcome = "late"     // known already, or older than what is known
	Unmapped  Outcome = "unmapped" // about an identity that was never given a token
	Conflict  Outcome = "outrun"   // the mapping has changed since the provider was asked
)

// Event is a canonical event with its id, which is derived from the evidence.
type Event struct {
	ID string
	events.Draft
}

// Result is what follows from evidence.
type Result struct {
	Outcome     Outcome
	Events      []Event             // in order
	DeleteRoom  bool                // the room is to go
	Permissions []DesiredPermission // that the provider is to be held to
	Ask         []string            // identities that have to be asked for before more can be said
	Remove      []string            // identities to be removed that can't be stored; a listing shows them again
}

// Policy is how long the bridge waits.
type Policy struct {
	Grace            time.Duration // for a lost participant to come back
	DepartureTimeout time.Duration // that the provider keeps a room for after the last one has left it
	EmptyTimeout     time.Duration // for a member, in a room that has none
}

// Moment is when something is decided, and by which policy.
type Moment struct {
	Now    time.Time
	Policy Policy
}

// transition is one change of a mapping: its state and what follows so far.
type transition struct {
	s           State
	policy      Policy
	now         time.Time // when it is decided, by the clock of this system
	at          time.Time // when it happened
	events      []Event
	outcome     Outcome
	changed     bool
	deleteRoom  bool
	permissions []DesiredPermission
	ask, remove []string
}

func begin(m Mapping, at time.Time, now Moment) *transition {
	if at.IsZero() {
		at = now.Now
	}
	return &transition{s: m.s.clone(), outcome: Duplicate, policy: now.Policy, now: instant(now.Now), at: instant(at)}
}

// instant is a time as fine as stores keep it.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func (t *transition) end() (Mapping, Result) {
	if t.changed {
		t.s.Revision++
		if t.outcome == Duplicate {
			t.outcome = Applied
		}
	}
	return Mapping{s: t.s}, Result{
		Outcome: t.outcome, Events: t.events, DeleteRoom: t.deleteRoom, Permissions: t.newest(),
		Ask: t.asked(), Remove: t.remove,
	}
}

// asked lists the identities that have to be asked for.
func (t *transition) asked() []string { return slices.Compact(slices.Sorted(slices.Values(t.ask))) }

// newest is what the provider is to hold each identity to, the last word where there are several.
func (t *transition) newest() []DesiredPermission {
	var newest []DesiredPermission
	for n, desired := range t.permissions {
		again := func(later DesiredPermission) bool { return later.Identity == desired.Identity }
		if !slices.ContainsFunc(t.permissions[n+1:], again) {
			newest = append(newest, desired)
		}
	}
	return newest
}

// with runs step on a participant and keeps what it changed.
func (t *transition) with(identity string, step func(*Participant)) {
	p := t.s.Participants[identity]
	step(&p)
	t.s.Participants[identity] = p
}

// shown lists the identities that are shown, in the order in which they came to be.
func (t *transition) shown() []string {
	var identities []string
	for identity, p := range t.s.Participants {
		if p.Shown() {
			identities = append(identities, identity)
		}
	}
	slices.SortFunc(identities, func(x, y string) int {
		return cmp.Compare(t.s.Participants[x].Episode, t.s.Participants[y].Episode)
	})
	return identities
}

// lookSoon has the provider asked for the room: there is evidence that a webhook alone can't place.
func (t *transition) lookSoon() {
	if soon := t.now.Add(lookDelay); t.s.LookAt.IsZero() || t.s.LookAt.After(soon) {
		t.s.LookAt = soon
		t.changed = true
	}
}

// nextEpisode begins an episode of the participant: every event id made from now on differs.
func (t *transition) nextEpisode(p *Participant) {
	t.s.Episode++
	p.Episode = t.s.Episode
}

// moment is the time of what follows from the events so far.
func (t *transition) moment() time.Time {
	if len(t.events) == 0 {
		return t.at
	}
	return latest(t.at, t.events[len(t.events)-1].Timestamp)
}

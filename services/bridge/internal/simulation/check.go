package simulation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

const (
	settleTime = 2 * time.Minute  // that is let go by beyond what is allowed
	retryTime  = time.Minute      // the longest pause of the bridge before it tries again
	closeTime  = 10 * time.Second // that the bridge lets the provider have to close a room late
)

// Settling is how long it took, from the last lie and the last change in a room, until all was
// right.
type Settling struct {
	Presence time.Duration
	End      time.Duration // likewise, until calls without people had ended
}

// allowed is the longest that it may take: two passes and one grace period; where listed
// participants gave no response, the time without a sign of life as well, which each replica
// measures by the passes that it makes; and after calls that failed, the pause before the next try.
// The end of a call comes after that, once its room has been without members for as long as the
// policy says.
func (s Schedule) allowed() Settling {
	presence := 2*(interval+domain.ConfirmDelay) + grace
	if s.Redis || s.tells(AskNoResponse) {
		presence += liveness + time.Duration(s.Extra)*2*interval
	}
	if s.fails() {
		presence += retryTime
	}
	return Settling{Presence: presence, End: presence + max(departureTimeout+closeTime, emptyTimeout) + interval}
}

// Outcome is what a schedule came to.
type Outcome struct {
	Problems []string // what does not hold
	Calls    []CallOutcome

	log *log
}

// CallOutcome is what came of one call.
type CallOutcome struct {
	Journal  []Entry
	Mapping  domain.State
	Settling Settling
}

// Log lists what happened, a line each.
func (o Outcome) Log() string { return o.log.String() }

func (w *world) outcome() Outcome {
	o := Outcome{Problems: w.log.problems, log: w.log}
	for _, c := range w.calls {
		o.Calls = append(o.Calls, CallOutcome{
			Journal: c.sessions.journal, Mapping: w.bridge.mapping(w.ctx, c.id).State(), Settling: c.settling,
		})
	}
	return o
}

// settle ends every lie, lets time go by with all that follows, and notes what does not hold then.
func (w *world) settle(allowed Settling) {
	w.log.note("SETTLE")
	w.provider.honest()
	w.webhooks.prompt()
	w.bridge.start(w.ctx)
	if w.bridge.away {
		w.bridge.toggle()
	}
	began := time.Now()
	w.work()
	for end := began.Add(allowed.End + settleTime); time.Now().Before(end); w.pause(end) {
		for _, c := range w.calls {
			since := time.Since(latest(began, w.provider.changed(c.room)))
			presence, end := w.wrong(c)
			if len(presence) > 0 {
				c.settling.Presence = max(c.settling.Presence, since)
			}
			if len(end) > 0 {
				c.settling.End = max(c.settling.End, since)
			}
		}
	}
	for _, c := range w.calls {
		w.mustBeRight(c)
		if c.settling.Presence > allowed.Presence || c.settling.End > allowed.End {
			w.log.note("it took %v, of %v that are allowed", c.settling, allowed)
			w.log.problem("it takes too long")
		}
	}
}

// mustBeRight notes what does not hold of a call.
func (w *world) mustBeRight(c *call) {
	presence, end := w.wrong(c)
	for _, wrong := range append(presence, end...) {
		w.log.problem("%s", wrong)
	}
}

// faults collects what does not hold.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// wrong lists what must hold once everything has settled, and doesn't: of who is in the room and
// what is shown of them, and of the end of the call.
func (w *world) wrong(c *call) (presence, end faults) {
	state, inside := w.bridge.mapping(w.ctx, c.id).State(), w.provider.inRoom(c.room)
	there := w.provider.roomSID(c.room) != ""
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	c.compareRights(&presence, state, inside)
	c.comparePresence(&presence, state, inside)
	c.compareEnd(&end, state, inside, there)
	return presence, end
}

// compareRights holds that only those are in the room who may be, with the rights that they should
// have. The room of a session that is final has to go as a whole.
func (c *call) compareRights(f *faults, state domain.State, inside map[string]person) {
	for _, identity := range sorted(inside) {
		p, mapped := state.Participants[identity]
		role, member := c.sessions.members[p.UserID]
		_, outsider := Outsiders[identity]
		switch {
		case outsider || c.sessions.shown.final():
		case !mapped:
			f.add("%s is in the room", identity)
		case !member:
			f.add("%s is in the room and no member", identity)
		case role != inside[identity].role:
			f.add("%s has the role %s, and should have %s", identity, inside[identity].role, role)
		}
	}
}

// comparePresence holds what the mapping and the session's log show to who is in the room.
func (c *call) comparePresence(f *faults, state domain.State, inside map[string]person) {
	for _, identity := range sorted(state.Participants) {
		p := state.Participants[identity]
		want, tracks := shownLeft, []string(nil)
		if who, there := inside[identity]; there && who.activeAt.IsZero() && !c.sessions.shown.final() {
			want = shownPresent
			for _, track := range who.tracks {
				tracks = append(tracks, track.SID)
			}
		}
		slices.Sort(tracks)
		log := c.sessions.shown
		if got := presences[p.Presence]; p.Presence == domain.Replaced || got != want {
			f.add("%s is %s, and should be %s", identity, p.Presence, want)
		}
		if got := cmp.Or(log.presence[identity], shownLeft); got != want {
			f.add("the log shows %s as %q, and should show %q", identity, got, want)
		}
		if open := openTracks(p); !slices.Equal(open, tracks) {
			f.add("the tracks of %s are %v, and should be %v", identity, open, tracks)
		}
		if open := slices.Sorted(slices.Values(log.tracks[identity])); !slices.Equal(open, tracks) {
			f.add("the log shows the tracks %v of %s, and should show %v", open, identity, tracks)
		}
	}
}

// compareEnd holds that a call comes to its end that no member and no phone is in, that a session
// that is final has no room, and that a call that goes on is shown so.
func (c *call) compareEnd(f *faults, state domain.State, inside map[string]person, there bool) {
	members, phones := false, false
	for identity, who := range inside {
		_, mapped := state.Participants[identity]
		members, phones = members || mapped, phones || who.kind == domain.Phone
	}
	log := c.sessions.shown
	switch {
	case log.final() && there:
		f.add("the session is final, and its room is there with %v", sorted(inside))
	case log.final() && !domain.Restore(state).Over():
		f.add("the session is final, and the mapping isn't")
	case log.final():
	case log.connected && !members && !phones:
		f.add("no member and no phone is in the call, and the session is %s", log.status)
	case log.status == events.StatusReconnecting && members:
		f.add("the session is reconnecting, with %v in the room", sorted(inside))
	}
}

// openTracks lists the sids of a participant's open tracks.
func openTracks(p domain.Participant) []string {
	var open []string
	for sid, track := range p.Tracks {
		if track.Open {
			open = append(open, sid)
		}
	}
	slices.Sort(open)
	return open
}

package checker

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// doubt is how far the provider's times and ours may be apart: its are in whole seconds, and what it has answered takes a while to be stored.
const doubt = 4 * time.Second

// truth: who is shown in a call is listed by the provider, and the other way round, whenever there was time for both to agree; a call that was
// and is no more is over; and nobody is said to have left who was there all the time.
func truth(h *history.History, report reporter) {
	for _, m := range h.Moments {
		shown, listed := slices.Sorted(maps.Keys(m.Shown)), slices.Sorted(maps.Keys(m.Listed))
		if !slices.Equal(shown, listed) {
			report(m.Session, "it shows %v, and LiveKit lists %v", m.Shown, m.Listed)
		}
	}
	for id, s := range h.Sessions {
		if s.Setting == history.Called || s.Setting == history.Replayed {
			endsWhereLiveKitIs(h, id, s, report)
		}
	}
}

// endsWhereLiveKitIs holds a session with a call to LiveKit's last word, and each departure to what was listed around it.
func endsWhereLiveKitIs(h *history.History, id string, s *history.Session, report reporter) {
	connected := false
	for _, e := range s.Log {
		connected = connected || e.Type == events.CallConnected
		if e.Type == events.CallParticipantLeft {
			stillThere(h, id, e, report)
		}
	}
	room, there := h.Listed[id]
	switch over := final(events.Status(s.Final.Status)); {
	case connected && !there && !over:
		report(id, "LiveKit has no room for it, and it is %s", s.Final.Status)
	case there && over:
		report(id, "it is %s, and LiveKit has a room for it with %v", s.Final.Status, room)
	}
	for _, p := range s.Final.Participants {
		if _, there := room[p.Identity]; p.Status != "left" && !there {
			report(id, "%s is shown as %s, and LiveKit does not list them", p.Identity, p.Status)
		}
	}
}

// stillThere holds the moment in which somebody was taken for gone to what LiveKit listed before and after it: the same connection, and so
// nobody was gone.
func stillThere(h *history.History, id string, e callplane.Event, report reporter) {
	left, err := payloadOf[events.CallParticipantLeftPayload](e)
	taken, errTime := e.Time()
	if err := errors.Join(err, errTime); err != nil {
		report(id, "the departure of somebody can't be read: %v", err)
		return
	}
	before, after := "", ""
	for _, l := range h.Listings {
		if l.Answered.Before(taken.Add(-doubt)) {
			before = l.Rooms[id][left.Identity]
		} else if l.Asked.After(taken.Add(doubt)) {
			after = l.Rooms[id][left.Identity]
			break
		}
	}
	if before != "" && before == after {
		report(id, "%s was taken for gone at %s (%s), and LiveKit lists connection %s of theirs before and after",
			left.Identity, at(taken.Sub(h.Began)), left.Reason, before)
	}
}

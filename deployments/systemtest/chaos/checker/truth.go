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

const (
	// doubt is how far the provider's times and ours may be apart: its are in whole seconds, and
	// what it has answered takes a while to be stored.
	doubt = 4 * time.Second
	// instant is how long a client stays after it was taken for gone that was not gone before:
	// longer than what it says takes to get here.
	instant = time.Second
)

// truth: sessions show the clients that are in their rooms by their own word, whenever there was
// time for it. LiveKit's listings, which may be false or stale, excuse nothing. A call that was and
// is no more is over, and no participant has left who was there all the time.
func truth(h *history.History, report reporter) {
	for _, m := range h.Moments {
		atMoment(m, report)
	}
	for id, s := range h.Sessions {
		if s.Setting == history.Called || s.Setting == history.Replayed {
			endsWhereLiveKitIs(h, id, s, report)
		}
	}
}

// atMoment holds a session to the clients in its room.
func atMoment(m history.Moment, report reporter) {
	shown, present := slices.Sorted(maps.Keys(m.Shown)), slices.Sorted(maps.Keys(m.Present))
	switch {
	case m.Final: // When its people are shown to have left is the provider's matter.
		if len(present) > 0 {
			report(m.Session, "it is over, and the clients %v stay in its room; LiveKit lists %v", m.Present, m.Listed)
		}
	case len(m.Barred) > 0:
		report(m.Session, "%v are no members, and their clients stay in its room; LiveKit lists %v", m.Barred, m.Listed)
	case !slices.Equal(shown, present):
		report(m.Session, "it shows %v, and the clients %v are in its room; LiveKit lists %v", m.Shown, m.Present, m.Listed)
	}
}

// endsWhereLiveKitIs holds a session with a call to LiveKit's state in the end, and each departure
// to what was there around it.
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

// stillThere holds the moment in which a participant was taken for gone to what was there around
// it. LiveKit's own listings can be stale, and a client can be wrong about its connection; where
// both agree, the participant was there.
func stillThere(h *history.History, id string, e callplane.Event, report reporter) {
	left, err := payloadOf[events.CallParticipantLeftPayload](e)
	taken, errTime := e.Time()
	if err := errors.Join(err, errTime); err != nil {
		report(id, "a departure can't be read: %v", err)
		return
	}
	before, after := listedAround(h, id, left.Identity, taken)
	switch {
	case before == "":
	case before == after && stays(h, id, left.Identity, before, taken.Add(-doubt), taken.Add(doubt)):
		report(id, "%s was taken for gone at %s (%s), and is there by connection %s before and after",
			left.Identity, at(taken.Sub(h.Began)), left.Reason, before)
	case guessed(left.Reason) && stays(h, id, left.Identity, before, taken.Add(-doubt), taken.Add(instant)):
		report(id, "%s was taken for gone at %s (%s), and was there by connection %s until something ended it afterwards",
			left.Identity, at(taken.Sub(h.Began)), left.Reason, before)
	}
}

// guessed says whether a reason is one that no webhook bears: a participant who was put out for it
// is gone only because they were taken for gone.
func guessed(reason events.LeaveReason) bool {
	return reason == events.LeaveUnknown || reason == events.LeaveReconnectTimeout
}

// listedAround is by which connection LiveKit listed a participant last before a time, and first
// after it.
func listedAround(h *history.History, id, identity string, when time.Time) (before, after string) {
	for _, l := range h.Listings {
		if l.Answered.Before(when.Add(-doubt)) {
			before = l.Rooms[id][identity]
		} else if l.Asked.After(when.Add(doubt)) {
			return before, l.Rooms[id][identity]
		}
	}
	return before, ""
}

// stays says whether a participant's client was in the room by a connection from one time to
// another, by its own word.
func stays(h *history.History, id, identity, sid string, from, to time.Time) bool {
	for _, c := range h.Clients {
		if c.Session != id || c.Identity != identity {
			continue
		}
		for _, stay := range c.Stays {
			if stay.SID == sid && !stay.From.After(from) && !stay.To.Before(to) {
				return true
			}
		}
	}
	return false
}

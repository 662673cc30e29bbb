package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// moment is a line of a timeline.
type moment struct {
	at   time.Duration
	text string
}

// Timeline is everything that is known of a session, in the order of its times, with what was broken meanwhile.
func Timeline(h *history.History, session string) string {
	s := h.Sessions[session]
	var all []moment
	for _, o := range h.Operations {
		if o.Session == session {
			all = append(all, moment{o.Called, line(o)})
		}
	}
	if s != nil {
		for i, e := range s.Log {
			happened, err := e.Time()
			if err != nil {
				continue
			}
			all = append(all, moment{happened.Sub(h.Began), fmt.Sprintf("log      %3d %s %s %s", i+1, e.Type, e.EventID, e.Payload)})
		}
	}
	all = append(all, streamMoments(h, session)...)
	all = append(all, roomMoments(h, session)...)
	all = append(all, clientMoments(h, session)...)
	if len(all) > 0 {
		from := slices.MinFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) }).at
		for _, f := range h.Faults {
			if f.End >= from {
				all = append(all, moment{f.Begin, fmt.Sprintf("fault    %s %s until %s", f.Kind, f.Target, at(f.End))})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "  %9.3f %.400s\n", m.at.Seconds(), m.text)
	}
	return b.String()
}

func streamMoments(h *history.History, session string) []moment {
	var all []moment
	for _, stream := range h.Streams {
		for i, seen := range stream.Seen {
			if seen.Session == session {
				all = append(all, moment{seen.At, fmt.Sprintf("stream   %s is given its event %d: %s", stream.Consumer, i+1, seen.EventID)})
			}
		}
	}
	return all
}

// roomMoments are the changes of who is in the room.
func roomMoments(h *history.History, session string) []moment {
	var all []moment
	before := "map[]"
	for _, l := range h.Listings {
		if now := fmt.Sprint(l.Rooms[session]); now != before {
			all = append(all, moment{l.Answered.Sub(h.Began), "LiveKit  lists " + now})
			before = now
		}
	}
	return all
}

// clientMoments are when clients were in the room, by their own word.
func clientMoments(h *history.History, session string) []moment {
	var all []moment
	for _, c := range h.Clients {
		if c.Session != session {
			continue
		}
		for _, stay := range c.Stays {
			all = append(all, moment{
				stay.From.Sub(h.Began), fmt.Sprintf("client   of %s is there by %s until %s", c.Identity, stay.SID, at(stay.To.Sub(h.Began))),
			})
		}
	}
	return all
}

// line says what was asked and answered.
func line(o history.Operation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %s %s", o.Client, o.Kind, what(o))
	if o.Change.IfMatch != 0 {
		fmt.Fprintf(&b, " if version %d", o.Change.IfMatch)
	}
	fmt.Fprintf(&b, ": %s at %s %s", o.Verdict, at(o.Returned), o.Code)
	if o.View.Version != 0 {
		fmt.Fprintf(&b, " version %d, %s, %q, change %d, last event %s", o.View.Version, o.View.Status, o.View.Title, o.View.Number, o.View.LastEventID)
	}
	return b.String()
}

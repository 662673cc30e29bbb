package checker

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

// state is a session as its log says it is: what a client that follows events alone would show.
type state struct {
	Status       events.Status
	Version      int64
	Title        *string
	Metadata     any
	Members      map[string]string
	Participants map[string]string // presence by identity
	Provider     string
	RoomID       string
	EndReason    *string
	Failure      string
	Ended        bool
	LastEventID  string
}

// steps are the ways of a status; there is none out of a final one.
var steps = map[events.Status][]events.Status{
	events.StatusCreated:      {events.StatusActive, events.StatusEnded, events.StatusFailed},
	events.StatusActive:       {events.StatusReconnecting, events.StatusEnded, events.StatusFailed},
	events.StatusReconnecting: {events.StatusActive, events.StatusEnded, events.StatusFailed},
}

func final(s events.Status) bool { return s == events.StatusEnded || s == events.StatusFailed }

// move takes the status a step, by an event that no version is told of.
func (s *state) move(to events.Status) error {
	if final(s.Status) {
		return nil // It tells only that the provider's side is over as well.
	}
	if err := s.set(to); err != nil {
		return err
	}
	s.Version++
	return nil
}

func (s *state) set(to events.Status) error {
	if !slices.Contains(steps[s.Status], to) {
		return fmt.Errorf("it goes from %s to %s", s.Status, to)
	}
	s.Status = to
	return nil
}

// counted takes the version that an event tells; versions never go back.
func (s *state) counted(version int64) error {
	if version < s.Version {
		return fmt.Errorf("the version goes back from %d to %d", s.Version, version)
	}
	s.Version = version
	return nil
}

// payloadOf reads a payload as what its type says.
func payloadOf[T any](e callplane.Event) (T, error) {
	var payload T
	err := json.Unmarshal(e.Payload, &payload)
	return payload, err
}

// on takes in the next event of the log.
func (s *state) on(e callplane.Event) error {
	s.LastEventID = e.EventID
	handle, known := handlers[e.Type]
	if !known {
		return nil // What services say of a call changes nothing of it.
	}
	return handle(s, e)
}

var handlers = map[events.Type]func(*state, callplane.Event) error{
	events.CallCreated: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallCreatedPayload](e)
		s.Status, s.Version, s.Title, s.Provider, s.Metadata = events.StatusCreated, p.SessionVersion, p.Title, p.Provider, anyOf(p.Metadata)
		s.Members, s.Participants = map[string]string{}, map[string]string{}
		for _, m := range p.Members {
			s.Members[m.UserID] = string(m.Role)
		}
		return err
	},
	events.CallUpdated: (*state).updated,
	events.CallMemberAdded: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallMemberAddedPayload](e)
		s.Members[p.UserID] = string(p.Role)
		return firstOf(err, s.counted(p.SessionVersion))
	},
	events.CallMemberUpdated: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallMemberUpdatedPayload](e)
		s.Members[p.UserID] = string(p.Role)
		return firstOf(err, s.counted(p.SessionVersion))
	},
	events.CallMemberRemoved: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallMemberRemovedPayload](e)
		delete(s.Members, p.UserID)
		return firstOf(err, s.counted(p.SessionVersion))
	},
	events.CallEnded: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallEndedPayload](e)
		s.EndReason = &p.Reason
		return firstOf(err, s.over(events.StatusEnded, p.SessionVersion))
	},
	events.CallFailed: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallFailedPayload](e)
		s.EndReason, s.Failure = p.Reason, p.Error.Code
		return firstOf(err, s.over(events.StatusFailed, p.SessionVersion))
	},
	events.CallConnected: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallConnectedPayload](e)
		if s.RoomID == "" {
			s.RoomID = p.RoomName
		}
		return firstOf(err, s.move(events.StatusActive))
	},
	events.CallReconnecting: func(s *state, _ callplane.Event) error { return s.move(events.StatusReconnecting) },
	events.CallReconnected:  func(s *state, _ callplane.Event) error { return s.move(events.StatusActive) },
	events.CallDisconnected: func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.CallDisconnectedPayload](e)
		if p.Reason == events.DisconnectCompleted {
			return firstOf(err, s.move(events.StatusEnded))
		}
		return firstOf(err, s.move(events.StatusFailed))
	},
	events.CallParticipantJoined:       presence("present", "", "left"),
	events.CallParticipantReconnecting: presence("reconnecting", "present"),
	events.CallParticipantReconnected:  presence("present", "reconnecting"),
	events.CallParticipantLeft:         presence("left", "present", "reconnecting"),
}

func (s *state) updated(e callplane.Event) error {
	p, err := payloadOf[events.CallUpdatedPayload](e)
	if err != nil {
		return err
	}
	c := p.Changes
	if title, given := c.Title.Get(); given {
		s.Title = title
	}
	if c.Metadata != nil {
		s.Metadata = anyOf(c.Metadata)
	}
	if c.EndReason != nil {
		s.EndReason = c.EndReason
	}
	if c.ProviderRoomID != nil {
		s.RoomID = *c.ProviderRoomID
	}
	if c.Status != nil {
		err = s.set(*c.Status)
	}
	return firstOf(err, s.counted(p.SessionVersion))
}

// over is the one end that a session has.
func (s *state) over(status events.Status, version int64) error {
	if s.Ended {
		return fmt.Errorf("it ends a second time")
	}
	s.Ended = true
	if s.Status != status { // by a deadline, which no other event tells
		if err := s.set(status); err != nil {
			return err
		}
	}
	return s.counted(version)
}

// presence is what an event makes of somebody's presence, and what it has to have been before.
func presence(to string, from ...string) func(*state, callplane.Event) error {
	return func(s *state, e callplane.Event) error {
		p, err := payloadOf[events.ProviderParticipant](e)
		if before := s.Participants[p.Identity]; !slices.Contains(from, before) && err == nil {
			err = fmt.Errorf("%s is %q before %s", p.Identity, before, e.Type)
		}
		s.Participants[p.Identity] = to
		return err
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func anyOf(raw json.RawMessage) any {
	var v any
	_ = json.Unmarshal(raw, &v) // The API gives JSON.
	return v
}

// folded: replaying a session's log gives the session, each step of it is one that there is, and the service's own command says so too.
func folded(h *history.History, report reporter) {
	if h.Verified != "" {
		report("", "sessions verify: %s", h.Verified)
	}
	for id, session := range h.Sessions {
		if len(session.Log) == 0 || session.Log[0].Type != events.CallCreated {
			report(id, "its log does not begin with %s", events.CallCreated)
			continue
		}
		var s state
		for i, e := range session.Log {
			if err := s.on(e); err != nil {
				report(id, "event %d (%s %s) can't follow those before it: %v", i+1, e.Type, e.EventID, err)
			}
		}
		for field, values := range s.differences(session.Final) {
			report(id, "%s is %v, and by the log %v", field, values[0], values[1])
		}
	}
}

// differences are what a session shows and what its log says, by field.
func (s *state) differences(shown callplane.Session) map[string][2]any {
	found := map[string][2]any{}
	differ := func(field string, stored, logged any) {
		if !reflect.DeepEqual(stored, logged) {
			found[field] = [2]any{stored, logged}
		}
	}
	members, participants := map[string]string{}, map[string]string{}
	for _, m := range shown.Members {
		members[m.UserID] = m.Role
	}
	for _, p := range shown.Participants {
		participants[p.Identity] = p.Status
	}
	failure := ""
	if shown.Error != nil {
		failure = shown.Error.Code
	}
	differ("status", shown.Status, string(s.Status))
	differ("version", shown.Version, s.Version)
	differ("title", value(shown.Title), value(s.Title))
	differ("metadata", anyOf(shown.Metadata), s.Metadata)
	differ("members", members, maps.Clone(s.Members))
	differ("participants", participants, maps.Clone(s.Participants))
	differ("providerRoomId", value(shown.ProviderRoomID), s.RoomID)
	differ("endReason", value(shown.EndReason), value(s.EndReason))
	differ("error", failure, s.Failure)
	differ("lastEventId", value(shown.LastEventID), s.LastEventID)
	differ("whether it is over", shown.EndedAt != nil, s.Ended)
	return found
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// forward: what is read never shows less than what was read or acknowledged before the question, and each log goes one way.
func forward(h *history.History, report reporter) {
	for id, operations := range bySession(h) {
		s := h.Sessions[id]
		if s == nil {
			continue
		}
		p := positionsIn(s.Log)
		points := pointsOf(operations, p, func(o history.Operation) {
			report(id, "%s at %s shows event %s last, which is not in the log", o.Kind, at(o.Returned), o.View.LastEventID)
		})
		slices.SortFunc(points, func(a, b point) int { return int(a.returned - b.returned) })
		// Of all that was answered before a question, only the furthest matters.
		asked := slices.Clone(points)
		slices.SortFunc(asked, func(a, b point) int { return int(a.called - b.called) })
		furthest, next := point{position: -1}, 0
		for _, q := range asked {
			for ; next < len(points) && points[next].returned < q.called; next++ {
				if points[next].position > furthest.position || points[next].version > furthest.version {
					furthest = later(furthest, points[next])
				}
			}
			if q.shows && (q.position < furthest.position || q.version < furthest.version) {
				report(id, "what was asked at %s shows event %d and version %d, after event %d and version %d were known at %s",
					at(q.called), q.position+1, q.version, furthest.position+1, furthest.version, at(furthest.returned))
			}
		}
	}
}

// point is how far a session was, as an answer told.
type point struct {
	called, returned time.Duration
	position         int
	version          int64 // 0 where it was not told
	shows            bool  // it is the whole session; otherwise what was written is there, and more may be
}

func later(a, b point) point {
	return point{returned: max(a.returned, b.returned), position: max(a.position, b.position), version: max(a.version, b.version)}
}

// pointsOf are how far a session was by each answer.
func pointsOf(operations []history.Operation, p positions, unknown func(history.Operation)) []point {
	var points []point
	for _, o := range operations {
		if o.Verdict != history.Done {
			continue
		}
		if o.View.LastEventID != "" && o.Kind != history.Create { // a repeated creation is answered as the first was
			position, there := p.byID[o.View.LastEventID]
			if !there {
				unknown(o)
				continue
			}
			points = append(points, point{o.Called, o.Returned, position, o.View.Version, true})
			continue
		}
		if position, there, _ := p.written(o); there {
			points = append(points, point{o.Called, o.Returned, position, 0, false})
		}
	}
	return points
}

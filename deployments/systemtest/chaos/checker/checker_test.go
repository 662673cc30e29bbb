package checker_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/checker"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

const (
	owner    = "owner"
	identity = "identity-of-alice"
	sid      = "PA_1"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var lane = history.Lane{Service: "sessions", Number: 1}

// sec is a time after the begin.
func sec(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func id(kind string, n int) string {
	return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, kind, n)).String()
}

// event makes one of a session's log.
func event(t *testing.T, session string, n int, kind events.Type, after time.Duration, payload any) callplane.Event {
	t.Helper()
	encoded, err := json.Marshal(payload)
	require.NoError(t, err)
	raw, err := json.Marshal(map[string]any{
		"eventId": id(session, n), "timestamp": began.Add(after).Format(time.RFC3339Nano), "sessionId": session, "type": kind, "version": "1.0",
		"actor": map[string]string{"type": "user", "id": owner}, "payload": json.RawMessage(encoded),
	})
	require.NoError(t, err)
	var e callplane.Event
	require.NoError(t, json.Unmarshal(raw, &e))
	return e
}

// run is a history without a fault: a session that its users change, and one with a call in it.
type run struct {
	*history.History

	table, call string
}

func newRun(t *testing.T) run {
	t.Helper()
	r := run{History: &history.History{
		Began: began, Sessions: map[string]*history.Session{}, Owned: map[string][]callplane.Session{}, Quarantined: map[string]string{},
		Lanes: map[history.Lane]int{lane: 1}, Contended: map[history.Lane]time.Duration{lane: time.Second},
	}, table: id("session", 1), call: id("session", 2)}
	r.addTable(t)
	r.addCall(t)
	for session, s := range r.Sessions {
		var seen []history.Seen
		for _, e := range s.Log {
			seen = append(seen, history.Seen{Session: session, EventID: e.EventID, Raw: string(e.Raw)})
			digest, err := events.DigestOf(e.Raw)
			require.NoError(t, err)
			r.Published = append(r.Published, events.Accepted{Envelope: e.Envelope, Raw: e.Raw, Digest: digest})
		}
		r.Streams = append(r.Streams, history.Stream{Consumer: owner, Session: session, Whole: true, Seen: seen})
	}
	return r
}

func (r run) addTable(t *testing.T) {
	t.Helper()
	made := map[string]string{"creation": "k1"}
	changed := map[string]any{"creation": "k1", "change": 1}
	log := []callplane.Event{
		event(t, r.table, 1, events.CallCreated, sec(1), map[string]any{
			"ownerId": owner, "kind": "audio", "provider": "other", "title": "t0", "metadata": made, "sessionVersion": 1,
			"members": []map[string]string{{"userId": owner, "role": "host"}},
		}),
		event(t, r.table, 2, events.CallUpdated, sec(2), map[string]any{"changes": map[string]any{"metadata": changed}, "sessionVersion": 2}),
		event(t, r.table, 3, events.TranscriptFinal, sec(3), map[string]any{"text": checker.Reminder + " of it."}),
		event(t, r.table, 4, events.ActionProposed, sec(3), map[string]any{"causedBy": id(r.table, 3)}),
		event(t, r.table, 5, events.ActionExecuted, sec(3), map[string]any{"causedBy": id(r.table, 3)}),
		event(t, r.table, 6, events.CallUpdated, sec(4), map[string]any{"changes": map[string]any{"title": "t1"}, "sessionVersion": 3}),
	}
	metadata, err := json.Marshal(changed)
	require.NoError(t, err)
	title, last := "t1", id(r.table, 6)
	final := callplane.Session{
		SessionID: r.table, OwnerID: owner, Status: "created", Title: &title, Version: 3, Metadata: metadata, LastEventID: &last,
		Members: []callplane.Member{{UserID: owner, Role: "host"}},
	}
	r.Sessions[r.table] = &history.Session{Owner: owner, Setting: history.Table, Log: log, Final: final}
	r.Owned[owner] = append(r.Owned[owner], final)
	view := func(version int64, title string, number, last int) history.View {
		return history.View{Version: version, Status: "created", Title: title, Number: number, LastEventID: id(r.table, last)}
	}
	op := func(from, to float64, o history.Operation) {
		o.Session, o.Called, o.Returned = r.table, sec(from), sec(to)
		if o.Verdict == "" {
			o.Verdict = history.Done
		}
		r.Operations = append(r.Operations, o)
	}
	op(1, 1.5, history.Operation{Client: "a", Kind: history.Create, Key: "k1", Body: "{1}", View: view(1, "t0", 0, 1)})
	op(1.9, 2.1, history.Operation{Client: "a", Kind: history.Patch, Change: history.Change{Number: 1}, View: view(2, "t0", 1, 2)})
	op(2.2, 2.4, history.Operation{Client: "b", Kind: history.Get, View: view(2, "t0", 1, 2)})
	op(2.9, 3.1, history.Operation{Client: "b", Kind: history.Post, Key: id(r.table, 3), Body: "{3}"})
	op(3.5, 4.1, history.Operation{Client: "a", Kind: history.Patch, Change: history.Change{Title: "t1", IfMatch: 2}, View: view(3, "t1", 1, 6)})
	op(4.2, 4.3, history.Operation{
		Client: "b", Kind: history.Patch, Change: history.Change{Number: 2, IfMatch: 2}, Verdict: history.Refused, Code: "precondition_failed",
	})
	op(4.4, 4.5, history.Operation{Client: "b", Kind: history.Get, View: view(3, "t1", 1, 6)})
}

func (r run) addCall(t *testing.T) {
	t.Helper()
	room := map[string]any{"provider": "livekit", "roomName": "room", "roomSid": "RM_1"}
	with := func(more map[string]any) map[string]any {
		all := map[string]any{"identity": identity, "userId": "alice", "participantSid": sid}
		for _, part := range []map[string]any{room, more} {
			for name, v := range part {
				all[name] = v
			}
		}
		return all
	}
	log := []callplane.Event{
		event(t, r.call, 1, events.CallCreated, sec(1), map[string]any{
			"ownerId": owner, "kind": "audio", "provider": "livekit", "title": nil, "metadata": map[string]string{"creation": "k2"}, "sessionVersion": 1,
			"members": []map[string]string{{"userId": owner, "role": "host"}},
		}),
		event(t, r.call, 2, events.CallConnected, sec(10), with(nil)),
		event(t, r.call, 3, events.CallParticipantJoined, sec(10), with(map[string]any{"joinedAt": began.Add(sec(10))})),
		event(t, r.call, 4, events.CallParticipantLeft, sec(30), with(map[string]any{"reason": "client_initiated", "leftAt": began.Add(sec(30))})),
		event(t, r.call, 5, events.CallDisconnected, sec(40), map[string]any{"provider": "livekit", "roomName": "room", "roomSid": "RM_1", "reason": "completed"}),
		event(t, r.call, 6, events.CallEnded, sec(40), map[string]any{"reason": "completed", "sessionVersion": 3, "startedAt": nil, "endedAt": began.Add(sec(40))}),
	}
	roomName, reason, last, ended := "room", "completed", id(r.call, 6), began.Add(sec(40))
	final := callplane.Session{
		SessionID: r.call, OwnerID: owner, Status: "ended", Version: 3, Metadata: json.RawMessage(`{"creation":"k2"}`), LastEventID: &last,
		ProviderRoomID: &roomName, EndReason: &reason, EndedAt: &ended, Members: []callplane.Member{{UserID: owner, Role: "host"}},
		Participants: []callplane.Participant{{UserID: "alice", Identity: identity, Status: "left"}},
	}
	r.Sessions[r.call] = &history.Session{Owner: owner, Setting: history.Called, Log: log, Final: final}
	r.Owned[owner] = append(r.Owned[owner], final)
	// Over by itself when its owner ends it.
	r.Operations = append(r.Operations, history.Operation{
		Client: owner, Session: r.call, Kind: history.Patch, Change: history.Change{Status: "ended"}, Called: sec(41), Returned: sec(42),
		Verdict: history.Done, View: history.View{Version: 3, Status: "ended", LastEventID: id(r.call, 6)},
	})
	for n := range 25 {
		there := map[string]map[string]string{}
		if now := sec(2 * float64(n)); now > sec(10) && now < sec(30) {
			there[r.call] = map[string]string{identity: sid}
		}
		r.list(sec(2*float64(n)), there)
	}
	r.Moments = append(r.Moments,
		history.Moment{Session: r.call, Shown: map[string]string{identity: "present"}, Present: map[string]string{identity: sid}},
		history.Moment{Session: r.call, Final: true, Listed: map[string]string{identity: sid}}, // Redis is late.
	)
	r.stay(sec(10), sec(30))
}

// stay has the client of the call's participant be in the room from one time to another, and nowhen
// else.
func (r run) stay(from, to time.Duration) {
	r.Clients = []history.Client{{
		Session: r.call, Identity: identity, Stays: []history.Stay{{SID: sid, From: began.Add(from), To: began.Add(to)}},
	}}
}

func (r run) list(at time.Duration, there map[string]map[string]string) {
	r.Listings = append(r.Listings, history.Listing{Asked: began.Add(at), Answered: began.Add(at + sec(0.1)), Rooms: there})
}

// relog changes the payload of an event of a log.
func relog(t *testing.T, log []callplane.Event, at int, change func(payload map[string]any)) {
	t.Helper()
	var payload map[string]any
	require.NoError(t, json.Unmarshal(log[at].Payload, &payload))
	change(payload)
	encoded, err := json.Marshal(payload)
	require.NoError(t, err)
	log[at].Payload = encoded
}

func TestNothingIsWrong(t *testing.T) {
	t.Parallel()
	require.Empty(t, checker.Check(newRun(t).History))
}

func TestEachRuleCanBeBroken(t *testing.T) {
	t.Parallel()
	broken := map[string]bool{}
	for name, one := range breaks {
		broken[one.rule] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t)
			one.wrong(t, r)
			found := checker.Check(r.History)
			var rules []string
			for _, v := range found {
				rules = append(rules, v.Rule)
			}
			require.Contains(t, rules, one.rule, "%v", found)
		})
	}
	for _, rule := range checker.Rules() {
		require.True(t, broken[rule], "no history breaks the rule %q", rule)
	}
}

// However much comes to no answer, an order is found soon.
func TestMuchThatWasNotAnswered(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	for n := range 200 {
		r.Operations = append(r.Operations, history.Operation{
			Client: "c", Session: r.table, Kind: history.Patch, Called: sec(1.6), Returned: sec(1.7), Verdict: history.Unknown,
			Change: history.Change{Number: 100 + n},
		})
	}
	began := time.Now()
	require.Empty(t, checker.Check(r.History))
	require.Less(t, time.Since(began), 10*time.Second)
}

// What came to no answer may have been done, at any time, or not.
func TestWhatWasNotAnsweredIsNotHeldAgainstAnybody(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	unknown := history.Operation{
		Client: "c", Session: r.table, Kind: history.Patch, Called: sec(1.6), Returned: sec(1.7), Verdict: history.Unknown, Change: history.Change{Number: 9},
	}
	r.Operations = append(r.Operations, unknown)
	require.Empty(t, checker.Check(r.History))

	r = newRun(t)
	r.Operations[1].Verdict, r.Operations[1].View = history.Unknown, history.View{}
	require.Empty(t, checker.Check(r.History))
}

// LiveKit may list participants whose clients are dead, which breaks no rule: with Redis it
// lists them for long.
func TestTheDeadMayBeListed(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.listedAlways()
	require.Empty(t, checker.Check(r.History))
	relog(t, r.Sessions[r.call].Log, 3, func(payload map[string]any) { payload["reason"] = "unknown" })
	for _, v := range checker.Check(r.History) {
		require.NotEqual(t, checker.True, v.Rule, "%s", v)
	}
}

func TestATimelineTellsEverything(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.Faults = append(r.Faults, history.Fault{Begin: sec(12), End: sec(14), Kind: "kill", Target: "bridge-1"})
	told := checker.Timeline(r.History, r.call)
	at := 0
	for _, want := range []string{"log        1 call.created", "fault    kill bridge-1 until 14s", "LiveKit  lists map[" + identity, "call.participant.left", "call.ended"} {
		next := strings.Index(told[at:], want)
		require.GreaterOrEqual(t, next, 0, "%q is not told in its turn:\n%s", want, told)
		at += next
	}
	require.Contains(t, checker.Timeline(r.History, r.table), `patch title t1 if version 2: done at 4.1s`)
}

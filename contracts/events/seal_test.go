package events_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

const (
	eventID   = "019ab1c2-5e10-7a10-9b2c-00000000000a"
	sessionID = "019ab1c2-5e00-7a10-8c3d-2f4b6a8c0e11"
)

var at = time.Date(2026, 11, 23, 8, 36, 30, 120_000_000, time.UTC)

func memberAdded() events.Draft {
	return events.Draft{
		Timestamp: at,
		Actor:     events.Actor{Type: events.ActorUser, ID: "alice"},
		Payload:   events.CallMemberAddedPayload{UserID: "bob", Role: events.RoleViewer, SessionVersion: 2},
	}
}

func TestSealWritesTheSevenFields(t *testing.T) {
	sealed, err := events.Seal(eventID, sessionID, memberAdded())
	require.NoError(t, err)
	assert.Equal(t, `{"eventId":"`+eventID+`","timestamp":"2026-11-23T08:36:30.12Z","sessionId":"`+sessionID+`",`+
		`"type":"call.member.added","actor":{"type":"user","id":"alice"},`+
		`"payload":{"userId":"bob","role":"viewer","sessionVersion":2},"version":"1.0"}`, string(sealed.JSON()))
	assert.Equal(t, events.CallMemberAdded, sealed.Envelope().Type)
	happened, err := sealed.Envelope().Time()
	require.NoError(t, err)
	assert.Equal(t, at, happened)
}

func TestSealWritesUTC(t *testing.T) {
	zurich := time.FixedZone("CET", 3600)
	draft := memberAdded()
	draft.Timestamp = at.In(zurich)
	draft.Payload = events.CallEndedPayload{Reason: "completed", SessionVersion: 2, EndedAt: events.Instant{Time: at.In(zurich)}}
	sealed, err := events.Seal(eventID, sessionID, draft)
	require.NoError(t, err)
	assert.Equal(t, "2026-11-23T08:36:30.12Z", sealed.Envelope().Timestamp)
	assert.JSONEq(t, `{"reason":"completed","sessionVersion":2,"startedAt":null,"endedAt":"2026-11-23T08:36:30.12Z"}`,
		string(sealed.Envelope().Payload))
}

func TestSealKeepsMetadataAsWritten(t *testing.T) {
	metadata := `{"b":"<&>","a":1.10,"big":12345678901234567890}`
	draft := memberAdded()
	draft.Payload = events.CallUpdatedPayload{Changes: events.Changes{Metadata: json.RawMessage(metadata)}, SessionVersion: 2}
	sealed, err := events.Seal(eventID, sessionID, draft)
	require.NoError(t, err)
	assert.Contains(t, string(sealed.JSON()), metadata)
}

// TestSealedIsOneEvent: what was handed out can be changed without changing the event.
func TestSealedIsOneEvent(t *testing.T) {
	sealed, err := events.Seal(eventID, sessionID, memberAdded())
	require.NoError(t, err)
	before := string(sealed.JSON())
	clear(sealed.JSON())
	clear(sealed.Envelope().Payload)
	assert.Equal(t, before, string(sealed.JSON()))
	assert.NotContains(t, string(sealed.Envelope().Payload), "\x00")
}

type strangePayload struct{}

func (strangePayload) EventType() events.Type { return "call.strange" }

func TestSealRefuses(t *testing.T) {
	member := func(change func(*events.CallMemberAddedPayload)) events.Draft {
		draft := memberAdded()
		payload := draft.Payload.(events.CallMemberAddedPayload)
		change(&payload)
		draft.Payload = payload
		return draft
	}
	updated := func(metadata string) events.Draft {
		draft := memberAdded()
		draft.Payload = events.CallUpdatedPayload{Changes: events.Changes{Metadata: json.RawMessage(metadata)}, SessionVersion: 2}
		return draft
	}
	noPayload, strange, noActor, early := memberAdded(), memberAdded(), memberAdded(), memberAdded()
	noPayload.Payload = nil
	strange.Payload = strangePayload{}
	noActor.Actor = events.Actor{}
	early.Timestamp = time.Time{}

	for name, c := range map[string]struct {
		eventID, pointer string
		draft            events.Draft
	}{
		"no payload":           {eventID, "/payload", noPayload},
		"type of no catalogue": {eventID, "/type", strange},
		"no actor":             {eventID, "/actor/id", noActor},
		"no time":              {eventID, "/timestamp", early},
		"id in upper case":     {strings.ToUpper(eventID), "/eventId", memberAdded()},
		"no id":                {"", "/eventId", memberAdded()},
		"role that isn't one":  {eventID, "/payload/role", member(func(p *events.CallMemberAddedPayload) { p.Role = "king" })},
		"user with a space":    {eventID, "/payload/userId", member(func(p *events.CallMemberAddedPayload) { p.UserID = "b b" })},
		"version zero":         {eventID, "/payload/sessionVersion", member(func(p *events.CallMemberAddedPayload) { p.SessionVersion = 0 })},
		"no change":            {eventID, "/payload/changes", updated("")},
		"metadata no object":   {eventID, "/payload/changes/metadata", updated("[]")},
		"metadata no JSON":     {eventID, "/payload", updated("{")},
		"NUL in metadata":      {eventID, "", updated(`{"a":"\u0000"}`)},
		"too large":            {eventID, "", updated(`{"a":"` + strings.Repeat("x", events.MaxSize) + `"}`)},
		"too deep":             {eventID, "", updated(strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := events.Seal(c.eventID, sessionID, c.draft)
			var invalid *events.InvalidEventError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, c.pointer, invalid.Pointer)
			assert.NotEmpty(t, invalid.Reason)
		})
	}
}

// TestCheckObjectSaysWhatSealWouldSay, so that who takes JSON from outside can refuse it there.
func TestCheckObjectSaysWhatSealWouldSay(t *testing.T) {
	for text, fits := range map[string]bool{
		`{}`: true, `{"a":[1.50,{"b":null}]}`: true, `{"a":1e400}`: true,
		`[]`: false, `null`: false, `{`: false, `{"a":1e401}`: false, `{"a":1,"a":1}`: false, `{"a":"\u0000"}`: false,
		`{"a":"\ud800"}`: false, "{\"a\":\"\xff\"}": false, `{} {}`: false,
	} {
		err := events.CheckObject([]byte(text))
		assert.Equal(t, fits, err == nil, "%s: %v", text, err)
		if json.Valid([]byte(text)) && text[0] == '{' {
			draft := memberAdded()
			draft.Payload = events.CallUpdatedPayload{Changes: events.Changes{Metadata: json.RawMessage(text)}, SessionVersion: 2}
			_, err = events.Seal(eventID, sessionID, draft)
			assert.Equal(t, fits, err == nil, "%s: %v", text, err)
		}
	}
}

func TestRefusalsQuoteNoValues(t *testing.T) {
	draft := memberAdded()
	draft.Payload = events.CallMemberAddedPayload{UserID: "very secret", Role: "also-secret", SessionVersion: 1}
	_, err := events.Seal(eventID, sessionID, draft)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}

func TestDecodePayload(t *testing.T) {
	sealed, err := events.Seal(eventID, sessionID, memberAdded())
	require.NoError(t, err)
	payload, err := events.DecodePayload[events.CallMemberAddedPayload](sealed.Envelope())
	require.NoError(t, err)
	assert.Equal(t, memberAdded().Payload, payload)

	_, err = events.DecodePayload[events.CallMemberUpdatedPayload](sealed.Envelope())
	assert.ErrorContains(t, err, "it is call.member.added, not call.member.updated")
}

// TestDraftsOfOneFactAreOneEvent: a fact that is told twice gives the same id and the same content.
func TestDraftsOfOneFactAreOneEvent(t *testing.T) {
	id := events.DerivedID(string(events.CallMemberAdded), "RM_1", "PA_1")
	first, err := events.Seal(id, sessionID, memberAdded())
	require.NoError(t, err)
	second, err := events.Seal(events.DerivedID(string(events.CallMemberAdded), "RM_1", "PA_1"), sessionID, memberAdded())
	require.NoError(t, err)
	assert.Equal(t, first.JSON(), second.JSON())
	assert.Equal(t, first.Digest(), second.Digest())
}

func BenchmarkSeal(b *testing.B) {
	draft := memberAdded()
	for b.Loop() {
		if _, err := events.Seal(eventID, sessionID, draft); err != nil {
			b.Fatal(err)
		}
	}
}

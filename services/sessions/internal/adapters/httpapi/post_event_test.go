package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

const (
	spoken = `{"segmentId":"asr-1/1","sequence":1,"revision":1,"speaker":null,"trackSid":null,"language":"de-CH","text":"<Ja> & nein",` +
		`"startedAt":"2026-05-01T12:00:00Z","endedAt":"2026-05-01T12:00:01Z","confidence":0.50}`
	billed = `{"recordId":"r-1","accountId":null,"meter":"call.participant_time","unit":"second","userId":"bob","quantity":"60",` +
		`"from":"2026-05-01T12:00:00Z","to":"2026-05-01T12:01:00Z","amount":{"value":"0.168200","currency":"CHF"},"causedBy":null}`

	aTranscript = `{"type":"transcript.final","payload":` + spoken + `}`
	aBill       = `{"type":"billing.usage.recorded","payload":` + billed + `}`
	anEnd       = `{"type":"call.ended","payload":{"reason":"completed","sessionVersion":9,"startedAt":null,"endedAt":"2026-05-01T12:00:00Z"}}`
)

func scribe(more ...string) map[string]string { return service("call:events", more...) }

// service is the headers of a principal with a scope; more are names and values.
func service(scope string, more ...string) map[string]string {
	header := map[string]string{"X-Scopes": scope}
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return header
}

// say posts an event as the orchestrator.
func (b *bundle) say(path, body string, more ...string) reply {
	b.t.Helper()
	return b.do(call{http.MethodPost, path + "/events", "orchestrator", body, scribe(more...)})
}

func TestPostingAnEvent(t *testing.T) {
	store := memory.NewStore()
	b := setupWith(t, store)
	path := b.session("")
	id := strings.TrimPrefix(path, collection+"/")
	r := b.say(path, aTranscript).ok(http.StatusCreated)
	require.Equal(t, map[string]any{"type": "service", "id": "orchestrator"}, r.body["actor"])
	require.Equal(t, id, r.body["sessionId"])
	require.Equal(t, "1.0", r.body["version"])
	require.Equal(t, events.Timestamp(portstest.Start), r.body["timestamp"])
	require.Contains(t, string(r.text), `"confidence":0.50`, "numbers stay as they were written")
	require.Contains(t, string(r.text), `<Ja> & nein`)
	require.Len(t, r.body, 7)

	page := b.do(call{http.MethodGet, path + "/events", "bob", "", nil}).ok(http.StatusOK)
	items := page.body["items"].([]any)
	require.Equal(t, r.body, items[len(items)-1], "it is in the log")
	session := b.do(call{http.MethodGet, path, "bob", "", nil}).ok(http.StatusOK)
	require.Equal(t, r.body["eventId"], session.body["lastEventId"])
	require.EqualValues(t, 1, session.body["version"], "and changes nothing")
	published := store.Outbox()
	require.JSONEq(t, string(r.text), string(published[len(published)-1]))

	b.do(call{http.MethodPatch, path, "alice", `{"status":"ended"}`, nil}).ok(http.StatusOK)
	b.say(path, aTranscript).ok(http.StatusCreated)
	b.do(call{http.MethodPost, path + "/events", "billing", aBill, service("call:usage")}).ok(http.StatusCreated)
	require.Equal(t, 3, b.counters.Count("appended", ""))
}

// TestARepeatedEventIsLoggedOnce holds the answer to repeats to the first one, whatever they leave out.
func TestARepeatedEventIsLoggedOnce(t *testing.T) {
	store := memory.NewStore()
	b := setupWith(t, store)
	path := b.session("")
	event := portstest.NewID(t)
	short := fmt.Sprintf(`{"eventId":%q,"type":"transcript.final","payload":%s}`, strings.ToUpper(event), spoken)
	first := b.say(path, short).ok(http.StatusCreated)
	require.Equal(t, event, first.body["eventId"])
	b.clock.Advance(1)
	for _, same := range []string{short, string(first.text), strings.Replace(string(first.text), "orchestrator", "somebody else", 1)} {
		again := b.say(path, same).ok(http.StatusOK)
		require.Equal(t, string(first.text), string(again.text))
	}
	for _, other := range []string{
		strings.Replace(short, "nein", "doch", 1),
		strings.Replace(short, "0.50", "0.5", 1),
		strings.Replace(string(first.text), `"1.0"`, `"1.1"`, 1),
		strings.Replace(string(first.text), portstest.Start.Format("15:04:05"), "11:00:00", 1),
		strings.Replace(short, "transcript.final", "transcript.partial", 1),
	} {
		b.say(path, other).problem(http.StatusConflict, "event_id_conflict")
	}
	b.do(call{http.MethodPost, path + "/events", "another", short, scribe()}).problem(http.StatusConflict, "event_id_conflict")
	created := b.do(call{http.MethodGet, path + "/events?limit=1", "bob", "", nil}).ok(http.StatusOK).body["lastEventId"].(string)
	b.say(path, strings.Replace(short, strings.ToUpper(event), created, 1)).problem(http.StatusConflict, "event_id_conflict")
	require.Len(t, store.Outbox(), 2, "published once")
	require.Empty(t, store.Quarantine())
	require.Equal(t, 3, b.counters.Count("duplicate", ""))

	elsewhere := b.session("")
	b.say(elsewhere, short).ok(http.StatusCreated)
}

func TestNewerMinorVersionsAreKept(t *testing.T) {
	b := setup(t)
	path := b.session("")
	newer := `{"type":"transcript.final","version":"1.7","payload":` + strings.Replace(spoken, "{", `{"mood":{"is":1.0},`, 1) + `}`
	r := b.say(path, newer).ok(http.StatusCreated)
	require.Equal(t, "1.7", r.body["version"])
	require.Contains(t, string(r.text), `"mood":{"is":1.0}`)
	page := b.do(call{http.MethodGet, path + "/events?types=transcript.final", "bob", "", nil}).ok(http.StatusOK)
	require.Equal(t, []any{r.body}, page.body["items"])
	own := strings.Replace(newer, "1.7", "1.0", 1)
	require.Equal(t, map[string]string{"/payload": "invalid_value"}, b.say(path, own).problem(http.StatusBadRequest, "invalid_request").faults())
	for _, version := range []string{"2.0", "0.9", "1", "1.0.0", "01.0", "x"} {
		r := b.say(path, strings.Replace(newer, "1.7", version, 1)).problem(http.StatusBadRequest, "invalid_request")
		require.Equal(t, map[string]string{"/version": "invalid_value"}, r.faults(), version)
	}
}

func TestWhatIsWrongWithAnEventIsToldAtOnce(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for body, want := range map[string]map[string]string{
		`{}`: {"/type": "required", "/payload": "required"},
		`{"type":"call.wrong","payload":1,"eventId":"x","sessionId":"` + portstest.NewID(t) + `","timestamp":"","version":1,"more":1}`: {
			"/type": "invalid_value", "/payload": "invalid_type", "/eventId": "invalid_format", "/sessionId": "invalid_value",
			"/timestamp": "required", "/version": "invalid_type", "/more": "unknown_field",
		},
		`{"type":"transcript.final","payload":{},"timestamp":"today"}`:                                 {"/payload": "invalid_value", "/timestamp": "invalid_value"},
		`{"type":"transcript.final","timestamp":"2026-05-01T12:00:00+02:00","payload":` + spoken + `}`: {"/timestamp": "invalid_value"},
		`{"type":"transcript.final","payload":` + strings.NewReplacer(`:1,"rev`, `:0,"rev`, `0.50`, `2`, `"de-CH"`, `7`).Replace(spoken) + `}`: {
			"/payload/sequence": "invalid_value", "/payload/confidence": "invalid_value", "/payload/language": "invalid_value",
		},
		`{"type":"transcript.final","payload":` + strings.Replace(spoken, "0.50", "1e999", 1) + `}`: {"/payload/confidence": "invalid_value"},
	} {
		require.Equal(t, want, b.say(path, body).problem(http.StatusBadRequest, "invalid_request").faults(), body)
	}
	b.say(path, `{"type":"transcript.final",`).problem(http.StatusBadRequest, "invalid_json")
	b.say(path, `{"type":"transcript.final","type":"x"}`).problem(http.StatusBadRequest, "invalid_json")
	b.say(path, aTranscript, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	large := `{"type":"transcript.final","payload":{"text":"` + strings.Repeat("x", 64<<10) + `"}}`
	b.say(path, large).problem(http.StatusRequestEntityTooLarge, "payload_too_large")
	page := b.do(call{http.MethodGet, path + "/events", "bob", "", nil}).ok(http.StatusOK)
	require.Len(t, page.body["items"], 1, "nothing of it was logged")
}

// TestNothingCanBeForged posts every type of the catalogue with every scope.
func TestNothingCanBeForged(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for _, name := range events.Types() {
		body := fmt.Sprintf(`{"type":%q,"actor":{"type":"user","id":"alice"},"payload":{"nonsense":true}}`, name)
		for scope, family := range map[string]events.Family{
			"call:events": events.FamilyOrchestration, "call:usage": events.FamilyMetering, "call:admin": "", "call:read": "",
		} {
			r := b.do(call{http.MethodPost, path + "/events", "service", body, service(scope)})
			if events.FamilyOf(name) == family {
				r.problem(http.StatusBadRequest, "invalid_request")
			} else {
				r.problem(http.StatusForbidden, "forbidden")
			}
		}
		b.do(call{http.MethodPost, path + "/events", "alice", body, nil}).problem(http.StatusForbidden, "forbidden")
		nowhere := collection + "/" + portstest.NewID(t)
		if !events.FamilyOf(name).OfServices() {
			b.do(call{http.MethodPost, nowhere + "/events", "service", body, scribe()}).problem(http.StatusNotFound, "session_not_found")
		}
	}
	nowhere := collection + "/" + portstest.NewID(t)
	b.say(nowhere, aTranscript).problem(http.StatusNotFound, "session_not_found")
	b.say(nowhere, aTranscript, "Idempotency-Key", "k").problem(http.StatusNotFound, "session_not_found")
	page := b.do(call{http.MethodGet, path + "/events", "bob", "", nil}).ok(http.StatusOK)
	require.Len(t, page.body["items"], 1)
}

func TestPostingWithAKey(t *testing.T) {
	store := memory.NewStore()
	b := setupWith(t, store)
	path := b.session("")
	first := b.say(path, aTranscript, "Idempotency-Key", "k").ok(http.StatusCreated)
	again := b.say(path, aTranscript, "Idempotency-Key", "k").ok(http.StatusCreated)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, string(first.text), string(again.text))
	b.say(path, strings.Replace(aTranscript, "nein", "doch", 1), "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
	refused := maps.Clone(scribe("Idempotency-Key", "k"))
	refused["X-Scopes"] = "call:read"
	b.do(call{http.MethodPost, path + "/events", "orchestrator", aTranscript, refused}).problem(http.StatusForbidden, "forbidden")
	require.Len(t, store.Outbox(), 2)
	require.Equal(t, 1, b.counters.Count("appended", ""))
}

func TestBillingOnPages(t *testing.T) {
	b := setup(t)
	path := b.session("")
	hidden := b.do(call{http.MethodPost, path + "/events", "billing", aBill, service("call:usage")}).ok(http.StatusCreated).body["eventId"]
	b.say(path, aTranscript).ok(http.StatusCreated)
	last := b.do(call{http.MethodPost, path + "/events", "billing", aBill, service("call:usage")}).ok(http.StatusCreated).body["eventId"]
	for scopes, want := range map[string]int{"": 2, "call:events": 2, "call:read": 4, "call:admin": 4} {
		r := b.do(call{http.MethodGet, path + "/events", "bob", "", map[string]string{"X-Scopes": scopes}}).ok(http.StatusOK)
		require.Len(t, r.body["items"], want, scopes)
		require.Equal(t, last, r.body["lastEventId"])
		if want == 2 {
			require.NotContains(t, string(r.text), "billing.")
		}
	}
	after := b.do(call{http.MethodGet, fmt.Sprintf("%s/events?after=%s", path, hidden), "bob", "", nil}).ok(http.StatusOK)
	require.Len(t, after.body["items"], 1)
	b.do(call{http.MethodPut, path + "/checkpoints/app", "bob", fmt.Sprintf(`{"eventId":%q}`, last), nil}).ok(http.StatusOK)
}

func TestCheckpoints(t *testing.T) {
	b := setup(t)
	path := b.session("")
	b.say(path, aTranscript).ok(http.StatusCreated)
	page := b.do(call{http.MethodGet, path + "/events", "bob", "", nil}).ok(http.StatusOK)
	var ids []string
	for _, item := range page.body["items"].([]any) {
		ids = append(ids, item.(map[string]any)["eventId"].(string))
	}
	at := path + "/checkpoints/My.app_2-x"
	b.do(call{http.MethodGet, at, "bob", "", nil}).problem(http.StatusNotFound, "not_found")
	kept := b.do(call{http.MethodPut, at, "bob", fmt.Sprintf(`{"eventId":%q}`, strings.ToUpper(ids[1])), nil}).ok(http.StatusOK)
	require.Equal(t, ids[1], kept.body["eventId"])
	require.Equal(t, "My.app_2-x", kept.body["consumer"])
	back := b.do(call{http.MethodPut, at, "bob", fmt.Sprintf(`{"eventId":%q}`, ids[0]), nil}).ok(http.StatusOK)
	require.Equal(t, kept.body, back.body, "it never goes back")
	require.Equal(t, kept.body, b.do(call{http.MethodGet, at, "bob", "", nil}).ok(http.StatusOK).body)
	b.do(call{http.MethodGet, at, "carol", "", nil}).problem(http.StatusNotFound, "not_found")

	unknown := fmt.Sprintf(`{"eventId":%q}`, portstest.NewID(t))
	r := b.do(call{http.MethodPut, at, "bob", unknown, nil}).problem(http.StatusNotFound, "not_found")
	require.Contains(t, r.body["detail"], "holds no event")
	setAside := fmt.Sprintf(`{"eventId":%q}`, b.fact(path, portstest.Left, "bob")) // who has never joined
	r = b.do(call{http.MethodPut, at, "bob", setAside, nil}).problem(http.StatusGone, "watermark_gone")
	require.Contains(t, r.body["detail"], "set aside")
	require.Equal(t, ids[0], r.body["earliestEventId"])
	for body, want := range map[string]map[string]string{
		`{}`: {"/eventId": "required"}, `{"eventId":7}`: {"/eventId": "invalid_type"}, `{"eventId":"x","seq":1}`: {"/eventId": "invalid_format", "/seq": "unknown_field"},
	} {
		require.Equal(t, want, b.do(call{http.MethodPut, at, "bob", body, nil}).problem(http.StatusBadRequest, "invalid_request").faults())
	}
	for _, consumer := range []string{"a%20b", "a%2Fb", "%C3%A9", strings.Repeat("x", 65)} {
		r := b.do(call{http.MethodGet, path + "/checkpoints/" + consumer, "bob", "", nil})
		if r.status == http.StatusNotFound {
			continue // The path has one part more.
		}
		require.Equal(t, map[string]string{"consumer": "invalid_format"}, r.problem(http.StatusBadRequest, "invalid_request").faults(), consumer)
	}
}

func TestAPostedEventIsTheOneOfTheLog(t *testing.T) {
	b := setup(t)
	path := b.session("")
	r := b.say(path, aTranscript).ok(http.StatusCreated)
	var envelope events.Envelope
	require.NoError(t, json.Unmarshal(r.text, &envelope))
	_, err := events.Accept(events.Delivery{
		Body: r.text, RoutingKey: string(envelope.Type), MessageID: envelope.EventID, UserID: events.ProducerSessions, SessionHeader: envelope.SessionID,
	})
	require.NoError(t, err, "every consumer takes it")
}

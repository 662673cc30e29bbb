package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestCreate(t *testing.T) {
	b := setup(t)
	r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"kind":"audio","title":"Weekly <sync>","metadata":{"n":1.0,"big":12345678901234567890},"members":[{"userId":"bob","role":"viewer"},{"userId":"alice","role":"host"}]}`, nil}).ok(http.StatusCreated)
	id := r.body["sessionId"].(string)
	require.Equal(t, "/v1/call/sessions/"+id, r.header.Get("Location"))
	require.Equal(t, `"1"`, r.header.Get("ETag"))
	require.Contains(t, string(r.text), `"metadata":{"n":1.0,"big":12345678901234567890}`, "as it was given")
	require.Contains(t, string(r.text), `Weekly <sync>`)
	delete(r.body, "metadata")
	last := r.body["lastEventId"]
	require.NotEmpty(t, last)
	require.Equal(t, map[string]any{
		"sessionId": id, "ownerId": "alice", "status": "created", "title": "Weekly <sync>", "kind": "audio", "provider": "livekit",
		"providerRoomId": nil, "providerParticipantId": nil, "providerCallId": nil,
		"members":      []any{map[string]any{"userId": "alice", "role": "host"}, map[string]any{"userId": "bob", "role": "viewer"}},
		"participants": []any{}, "version": 1.0, "createdAt": "2026-05-01T12:00:00.123456Z", "updatedAt": "2026-05-01T12:00:00.123456Z",
		"startedAt": nil, "endedAt": nil, "endReason": nil, "error": nil, "lastEventId": last,
	}, r.body)
	again := b.do(call{http.MethodGet, "/v1/call/sessions/" + strings.ToUpper(id), "bob", "", nil}).ok(http.StatusOK)
	require.Equal(t, string(r.text), string(again.text))
	require.Equal(t, `"1"`, again.header.Get("ETag"))
}

func TestCreateWithDefaults(t *testing.T) {
	b := setup(t)
	r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"title":null}`, map[string]string{"Content-Type": "application/json; charset=UTF-8"}}).ok(http.StatusCreated)
	require.Equal(t, "video", r.body["kind"])
	require.Equal(t, "livekit", r.body["provider"])
	require.Equal(t, map[string]any{}, r.body["metadata"])
	require.Nil(t, r.body["title"])
}

func TestCreateForSomebodyElse(t *testing.T) {
	b := setup(t)
	body := `{"ownerId":"dave"}`
	b.do(call{http.MethodPost, "/v1/call/sessions", "alice", body, nil}).problem(http.StatusForbidden, "forbidden")
	r := b.do(call{http.MethodPost, "/v1/call/sessions", "billing", body, map[string]string{"X-Scopes": "call:read,call:admin"}}).ok(http.StatusCreated)
	require.Equal(t, "dave", r.body["ownerId"])
	page := b.do(call{http.MethodGet, r.header.Get("Location") + "/events", "dave", "", nil}).ok(http.StatusOK)
	actor := page.body["items"].([]any)[0].(map[string]any)["actor"]
	require.Equal(t, map[string]any{"type": "service", "id": "billing"}, actor)
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	b := setup(t)
	r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"kind":7,"title":{},"metadata":[],"color":"red","a/b~c":1,"members":[{"userId":"bob","role":"participant","x":1},{"userId":"eve"},3]}`, nil}).
		problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{
		"/kind": "invalid_type", "/title": "invalid_type", "/metadata": "invalid_type", "/color": "unknown_field", "/a~1b~0c": "unknown_field",
		"/members/0/x": "unknown_field", "/members/1/role": "required", "/members/2": "invalid_type",
	}, r.faults())
	r = b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"kind":"smell","title":"","provider":"Live Kit","metadata":{},"members":[{"userId":"b b","role":"king"},{"userId":"alice","role":"viewer"},{"userId":"x","role":"viewer"},{"userId":"x","role":"viewer"}]}`, nil}).
		problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{
		"/kind": "invalid_value", "/title": "required", "/provider": "invalid_format", "/members/0/userId": "invalid_format",
		"/members/0/role": "invalid_value", "/members/1/role": "not_allowed", "/members/3/userId": "duplicate",
	}, r.faults())
}

func TestStrictJSON(t *testing.T) {
	b := setup(t)
	for name, test := range map[string]struct{ body, code, pointer, fault string }{
		"empty":                 {" ", "invalid_json", "", "syntax"},
		"cut":                   {`{"title":"x"`, "invalid_json", "", "syntax"},
		"trailing data":         {`{} {}`, "invalid_json", "", "trailing_data"},
		"duplicate name":        {`{"title":"x","title":"y"}`, "invalid_json", "/title", "duplicate_name"},
		"duplicate name inside": {`{"metadata":{"a":[{"b":1,"b":2}]}}`, "invalid_json", "/metadata/a/0/b", "duplicate_name"},
		"bad UTF-8":             {"{\"title\":\"\xff\"}", "invalid_json", "/title", "syntax"},
		"half a pair":           {`{"title":"\ud800"}`, "invalid_json", "/title", "syntax"},
		"NUL":                   {`{"metadata":{"a":"\u0000"}}`, "invalid_json", "/metadata/a", "nul"},
		"an array":              {`[]`, "invalid_request", "", "invalid_type"},
		"null":                  {`null`, "invalid_request", "", "invalid_type"},
		"33 levels":             {`{"metadata":` + strings.Repeat(`{"a":`, 32) + `{}` + strings.Repeat(`}`, 33), "invalid_request", "/metadata", "too_deep"},
		"17 KiB of metadata":    {`{"metadata":{"a":"` + strings.Repeat("x", 17<<10) + `"}}`, "invalid_request", "/metadata", "too_large"},
		"101 members":           {`{"members":[` + strings.TrimSuffix(strings.Repeat(`{"userId":"x","role":"viewer"},`, 101), ",") + `]}`, "invalid_request", "/members", "too_many"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bundle{t: t, engine: b.engine}
			r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", test.body, nil}).problem(http.StatusBadRequest, test.code)
			require.Equal(t, test.fault, r.faults()[test.pointer], "%s", r.text)
		})
	}
	b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"metadata":` + strings.Repeat(`{"a":`, 31) + `{}` + strings.Repeat(`}`, 32), nil}).ok(http.StatusCreated)
	b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"metadata":{"a":"` + strings.Repeat("x", 65<<10) + `"}}`, nil}).problem(http.StatusRequestEntityTooLarge, "payload_too_large")
}

func TestMediaTypes(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for _, media := range []string{"", "text/plain", "application/json; charset=latin1", "application/merge-patch+json", "a//b"} {
		b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{}`, map[string]string{"Content-Type": media}}).problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	b.do(call{http.MethodPatch, path, "alice", `{"title":"a"}`, map[string]string{"Content-Type": "text/plain"}}).problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	b.do(call{http.MethodPatch, path, "alice", `{"title":"a"}`, map[string]string{"Content-Type": "application/merge-patch+json"}}).ok(http.StatusOK)
}

func TestWhoSeesAndChanges(t *testing.T) {
	b := setup(t)
	path := b.session("")
	patch := `{"title":"new"}`
	stranger := b.do(call{http.MethodGet, path, "mallory", "", nil}).problem(http.StatusNotFound, "session_not_found")
	for _, other := range []string{"/v1/call/sessions/" + portstest.NewID(t), "/v1/call/sessions/nonsense", "/v1/call/sessions/%7B" + strings.TrimPrefix(path, "/v1/call/sessions/") + "%7D"} {
		r := b.do(call{http.MethodGet, other, "alice", "", nil}).problem(http.StatusNotFound, "session_not_found")
		for _, same := range []string{"title", "detail", "type", "retryable"} {
			require.Equal(t, stranger.body[same], r.body[same])
		}
	}
	b.do(call{http.MethodPatch, path, "mallory", patch, nil}).problem(http.StatusNotFound, "session_not_found")
	b.do(call{http.MethodPost, path + "/token", "mallory", "{}", nil}).problem(http.StatusNotFound, "session_not_found")
	b.do(call{http.MethodGet, path + "/events", "mallory", "", nil}).problem(http.StatusNotFound, "session_not_found")
	b.do(call{http.MethodPatch, path, "bob", patch, nil}).problem(http.StatusForbidden, "forbidden")
	reader := map[string]string{"X-Scopes": "call:read"}
	b.do(call{http.MethodGet, path, "audit", "", reader}).ok(http.StatusOK)
	b.do(call{http.MethodGet, path + "/events", "audit", "", reader}).ok(http.StatusOK)
	b.do(call{http.MethodPatch, path, "audit", patch, reader}).problem(http.StatusForbidden, "forbidden")
	b.do(call{http.MethodPost, path + "/token", "audit", "{}", reader}).problem(http.StatusForbidden, "forbidden")
	b.do(call{http.MethodGet, path, "audit", "", map[string]string{"X-Scopes": "call:usage openid"}}).problem(http.StatusNotFound, "session_not_found")
	b.do(call{http.MethodPatch, path, "support", patch, map[string]string{"X-Scopes": "call:admin"}}).ok(http.StatusOK)
}

func TestAuthentication(t *testing.T) {
	b := setup(t)
	for _, user := range []string{"", "two words", strings.Repeat("x", 129), "umläut"} {
		r := b.do(call{http.MethodPost, "/v1/call/sessions", user, `{}`, nil}).problem(http.StatusUnauthorized, "unauthenticated")
		require.NotEmpty(t, r.header.Get("WWW-Authenticate"))
		require.Contains(t, r.body["detail"], "X-User-Id")
	}
}

func TestAnswersOfTheEngineAreProblems(t *testing.T) {
	b := setup(t)
	b.do(call{http.MethodGet, "/nowhere", "alice", "", nil}).problem(http.StatusNotFound, "not_found")
	r := b.do(call{http.MethodDelete, b.session(""), "alice", "", nil}).problem(http.StatusMethodNotAllowed, "method_not_allowed")
	require.Contains(t, r.header.Get("Allow"), "PATCH")
	r = b.do(call{http.MethodGet, "/nowhere", "alice", "", map[string]string{"X-Request-Id": "my-request.1"}})
	require.Equal(t, "my-request.1", r.header.Get("X-Request-Id"))
	spec := b.do(call{http.MethodGet, "/openapi.json", "", "", nil})
	require.Equal(t, "3.1.0", spec.body["openapi"])
}

func TestParticipantsAreShown(t *testing.T) {
	b := setup(t)
	path := b.session("")
	b.clock.Advance(time.Minute)
	b.fact(path, portstest.Connected, "bob")
	b.fact(path, portstest.Joined, "bob")
	b.fact(path, portstest.Joined, "alice")
	b.fact(path, portstest.Left, "bob")
	r := b.do(call{http.MethodGet, path, "carol", "", nil}).ok(http.StatusOK)
	require.Equal(t, "active", r.body["status"])
	require.Equal(t, "RM_1", r.body["providerCallId"])
	require.Equal(t, "bob#default", r.body["providerParticipantId"])
	require.Equal(t, `"2"`, r.header.Get("ETag"))
	joined := portstest.Start.Format(time.RFC3339Nano)
	require.Equal(t, []any{
		map[string]any{"userId": "alice", "identity": "alice#default", "status": "present", "joinedAt": joined},
		map[string]any{"userId": "bob", "identity": "bob#default", "status": "left", "joinedAt": joined},
	}, r.body["participants"])
	b.fact(path, func(id, _ string) events.Payload {
		return events.CallDisconnectedPayload{ProviderRoom: portstest.Room(id), Reason: events.DisconnectProviderFailure}
	}, "")
	r = b.do(call{http.MethodGet, path, "carol", "", nil}).ok(http.StatusOK)
	require.Equal(t, "failed", r.body["status"])
	require.Equal(t, "provider_failure", r.body["error"].(map[string]any)["code"])
}

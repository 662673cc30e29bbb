package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestEndBeforeAnybodyConnected(t *testing.T) {
	b := setup(t)
	path := b.session("")
	r := b.do(call{http.MethodPatch, path, "alice", `{"status":"ended"}`, map[string]string{"If-Match": `"1"`}}).ok(http.StatusOK)
	require.Equal(t, "ended", r.body["status"])
	require.Equal(t, "cancelled", r.body["endReason"])
	require.Equal(t, `"2"`, r.header.Get("ETag"))
	again := b.do(call{http.MethodPatch, path, "alice", `{"status":"ended"}`, map[string]string{"If-Match": `"1"`}}).ok(http.StatusOK)
	require.Equal(t, string(r.text), string(again.text), "a replay, also with a stale If-Match")
	b.do(call{http.MethodPatch, path, "alice", `{"status":"failed"}`, nil}).problem(http.StatusConflict, "session_final")
	b.do(call{http.MethodPatch, path, "alice", `{"title":"late"}`, nil}).problem(http.StatusConflict, "session_final")
	b.do(call{http.MethodPost, path + "/token", "bob", "", nil}).problem(http.StatusConflict, "session_final")
	kept := b.do(call{http.MethodPatch, path, "alice", `{"status":"ended","metadata":{"note":"x"}}`, nil}).ok(http.StatusOK)
	require.Equal(t, map[string]any{"note": "x"}, kept.body["metadata"])
	require.Equal(t, `"3"`, kept.header.Get("ETag"))
}

func TestConflicts(t *testing.T) {
	b := setup(t)
	path := b.session("")
	correlation := `"providerRoomId":"r","providerParticipantId":"p","providerCallId":"c"`
	b.do(call{http.MethodPatch, path, "alice", `{"status":"active",` + correlation + `}`, nil}).problem(http.StatusConflict, "provider_managed_transition")
	b.do(call{http.MethodPatch, path, "alice", `{"providerRoomId":"r"}`, nil}).problem(http.StatusConflict, "provider_managed_transition")
	b.do(call{http.MethodPatch, path, "alice", `{"provider":"pstn"}`, nil}).problem(http.StatusConflict, "provider_correlation_mismatch")
	r := b.do(call{http.MethodPatch, path, "alice", `{"status":"failed"}`, nil}).problem(http.StatusConflict, "invalid_transition")
	require.Contains(t, r.body["detail"], "from created to failed")
	b.do(call{http.MethodPatch, path, "alice", `{"status":"reconnecting"}`, nil}).problem(http.StatusConflict, "invalid_transition")
	b.fact(path, portstest.Connected, "bob")
	b.do(call{http.MethodPatch, path, "alice", `{"providerRoomId":"other"}`, nil}).problem(http.StatusConflict, "provider_correlation_mismatch")
	b.do(call{http.MethodPatch, path, "alice", `{"status":"created"}`, nil}).problem(http.StatusConflict, "invalid_transition")
	r = b.do(call{http.MethodPatch, path, "alice", `{"status":"failed","endReason":"bad line"}`, nil}).ok(http.StatusOK)
	require.Equal(t, "bad line", r.body["endReason"])
	require.Equal(t, "reported", r.body["error"].(map[string]any)["code"])
}

func TestAnotherProviderIsActivatedByTheCaller(t *testing.T) {
	b := setup(t)
	path := b.session(`,"provider":"pstn"`)
	b.do(call{http.MethodPost, path + "/token", "alice", "", nil}).problem(http.StatusConflict, "provider_not_supported")
	r := b.do(call{http.MethodPatch, path, "alice", `{"status":"active","providerRoomId":"r"}`, nil}).problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{"/providerParticipantId": "required", "/providerCallId": "required"}, r.faults())
	r = b.do(call{http.MethodPatch, path, "alice", `{"providerRoomId":"r"}`, nil}).problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{"/providerRoomId": "not_allowed"}, r.faults())
	activation := `{"status":"active","providerRoomId":"r","providerParticipantId":"p","providerCallId":"c"}`
	r = b.do(call{http.MethodPatch, path, "alice", activation, nil}).ok(http.StatusOK)
	require.Equal(t, "r", r.body["providerRoomId"])
	require.NotNil(t, r.body["startedAt"])
	b.do(call{http.MethodPatch, path, "alice", activation, map[string]string{"If-Match": `"1"`}}).ok(http.StatusOK)
	b.do(call{http.MethodPatch, path, "alice", `{"status":"active","providerCallId":"d"}`, nil}).problem(http.StatusConflict, "provider_correlation_mismatch")
	r = b.do(call{http.MethodPatch, path, "alice", `{"status":"ended"}`, nil}).ok(http.StatusOK)
	require.Equal(t, "completed", r.body["endReason"])
}

func TestPatchIsAMergePatch(t *testing.T) {
	b := setup(t)
	path := b.session(`,"title":"old","metadata":{"a":{"b":1,"c":2.50},"d":[1]}`)
	r := b.do(call{http.MethodPatch, path, "alice", `{"title":null,"metadata":{"a":{"b":null,"e":"<"},"d":{"x":null}}}`, nil}).ok(http.StatusOK)
	require.Nil(t, r.body["title"])
	require.Contains(t, string(r.text), `"metadata":{"a":{"c":2.50,"e":"<"},"d":{}}`)
	require.Equal(t, `"2"`, r.header.Get("ETag"))
	same := b.do(call{http.MethodPatch, path, "alice", `{"metadata":{"a":{"c":2.50}}}`, nil}).ok(http.StatusOK)
	require.Equal(t, string(r.text), string(same.text), "what changes nothing is no change")
	r = b.do(call{http.MethodPatch, path, "alice", `{"metadata":null}`, nil}).ok(http.StatusOK)
	require.Equal(t, map[string]any{}, r.body["metadata"])
}

func TestPatchIsAllOrNothing(t *testing.T) {
	b := setup(t)
	path := b.session("")
	before := b.do(call{http.MethodGet, path, "alice", "", nil})
	b.do(call{http.MethodPatch, path, "alice", `{"title":"x","status":"failed"}`, nil}).problem(http.StatusConflict, "invalid_transition")
	r := b.do(call{http.MethodPatch, path, "alice", `{"title":"","status":"gone","endReason":"why","providerCallId":"a b","ownerId":"bob"}`, nil}).problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{
		"/ownerId": "unknown_field", "/status": "invalid_value", "/endReason": "not_allowed", "/title": "required", "/providerCallId": "invalid_format",
	}, r.faults())
	r = b.do(call{http.MethodPatch, path, "alice", `{"title":"","status":"gone","endReason":"why","providerCallId":"a b"}`, nil}).problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{"/title": "required", "/status": "invalid_value", "/endReason": "not_allowed", "/providerCallId": "invalid_format"}, r.faults())
	after := b.do(call{http.MethodGet, path, "alice", "", nil})
	require.Equal(t, string(before.text), string(after.text))
}

func TestIfMatch(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for value, status := range map[string]int{
		`"1"`: 200, `*`: 200, `"7", "1"`: 200, ` "1" `: 200, `"2"`: 412, `W/"1"`: 412, `"x"`: 412, `"01"`: 412, `1`: 400, `"1" "2"`: 400, `"1",,`: 400,
	} {
		r := b.do(call{http.MethodPatch, path, "alice", `{}`, map[string]string{"If-Match": value}})
		require.Equal(t, status, r.status, "%s: %s", value, r.text)
	}
	b.do(call{http.MethodPatch, path, "alice", `{"title":"x"}`, map[string]string{"If-Match": `"2"`}}).problem(http.StatusPreconditionFailed, "precondition_failed")
	b.do(call{http.MethodPatch, path, "alice", `{"title":"x"}`, map[string]string{"If-Match": `"1"`}}).ok(http.StatusOK)
}

package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMembers(t *testing.T) {
	b := setup(t)
	path := b.session("")
	member := path + "/members/dave"
	r := b.do(call{http.MethodPut, member, "alice", `{"role":"viewer"}`, nil}).ok(http.StatusCreated)
	require.Equal(t, map[string]any{"userId": "dave", "role": "viewer"}, r.body)
	b.do(call{http.MethodPut, member, "alice", `{"role":"viewer"}`, nil}).ok(http.StatusOK)
	r = b.do(call{http.MethodPut, member, "alice", `{"role":"participant"}`, nil}).ok(http.StatusOK)
	require.Equal(t, "participant", r.body["role"])
	seen := b.do(call{http.MethodGet, path, "dave", "", nil}).ok(http.StatusOK)
	require.Equal(t, `"3"`, seen.header.Get("ETag"), "what changes nothing is no version")
	require.Contains(t, seen.body["members"], map[string]any{"userId": "dave", "role": "participant"})

	r = b.do(call{http.MethodDelete, member, "dave", "", nil}).ok(http.StatusNoContent)
	require.Empty(t, r.text)
	b.do(call{http.MethodDelete, member, "dave", "", nil}).problem(http.StatusNotFound, "session_not_found")
	b.do(call{http.MethodDelete, member, "alice", "", nil}).problem(http.StatusNotFound, "not_found")
	page := b.do(call{http.MethodGet, path + "/events?types=call.member.added,call.member.updated,call.member.removed", "alice", "", nil}).ok(http.StatusOK)
	var versions []any
	for _, item := range page.body["items"].([]any) {
		payload := item.(map[string]any)["payload"].(map[string]any)
		require.Equal(t, "dave", payload["userId"])
		versions = append(versions, payload["sessionVersion"])
	}
	require.Equal(t, []any{2.0, 3.0, 4.0}, versions)
}

func TestMemberConflicts(t *testing.T) {
	b := setup(t)
	path := b.session("")
	b.do(call{http.MethodPut, path + "/members/alice", "alice", `{"role":"viewer"}`, nil}).problem(http.StatusConflict, "owner_immutable")
	b.do(call{http.MethodDelete, path + "/members/alice", "alice", "", nil}).problem(http.StatusConflict, "owner_immutable")
	b.do(call{http.MethodPut, path + "/members/alice", "alice", `{"role":"host"}`, nil}).ok(http.StatusOK)
	for i := range 97 {
		b.do(call{http.MethodPut, fmt.Sprintf("%s/members/user%d", path, i), "alice", `{"role":"viewer"}`, nil}).ok(http.StatusCreated)
	}
	r := b.do(call{http.MethodPut, path + "/members/one-more", "alice", `{"role":"viewer"}`, nil}).problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{"userId": "too_many"}, r.faults())
	b.do(call{http.MethodPatch, path, "alice", `{"status":"ended"}`, nil}).ok(http.StatusOK)
	b.do(call{http.MethodPut, path + "/members/bob", "alice", `{"role":"viewer"}`, nil}).problem(http.StatusConflict, "session_final")
	b.do(call{http.MethodPut, path + "/members/bob", "alice", `{"role":"participant"}`, nil}).ok(http.StatusOK)
	b.do(call{http.MethodDelete, path + "/members/bob", "alice", "", nil}).problem(http.StatusConflict, "session_final")
}

func TestMembersAreReadStrictly(t *testing.T) {
	b := setup(t)
	path := b.session("") + "/members/"
	for body, want := range map[string]map[string]string{
		`{}`:                           {"/role": "required"},
		`{"role":"king"}`:              {"/role": "invalid_value"},
		`{"role":""}`:                  {"/role": "invalid_value"},
		`{"role":null}`:                {"/role": "invalid_type"},
		`{"role":"host","userId":"x"}`: {"/userId": "unknown_field"},
	} {
		r := b.do(call{http.MethodPut, path + "dave", "alice", body, nil}).problem(http.StatusBadRequest, "invalid_request")
		require.Equal(t, want, r.faults(), body)
	}
	b.do(call{http.MethodPut, path + "dave", "alice", "", nil}).problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	for _, id := range []string{"two%20words", "%00", "%C3%A4", strings.Repeat("x", 129)} {
		r := b.do(call{http.MethodPut, path + id, "alice", `{"role":"king"}`, nil}).problem(http.StatusBadRequest, "invalid_request")
		require.Equal(t, map[string]string{"userId": "invalid_format", "/role": "invalid_value"}, r.faults(), id)
		b.do(call{http.MethodDelete, path + id, "alice", "", nil}).problem(http.StatusNotFound, "not_found")
	}
	for escaped, id := range map[string]string{
		"a%2Fb+c": "a/b+c", "dave+work@example.com": "dave+work@example.com", "%25%32%46": "%2F", "auth0%7C42%23%3F": "auth0|42#?",
	} {
		r := b.do(call{http.MethodPut, path + escaped, "alice", `{"role":"viewer"}`, nil}).ok(http.StatusCreated)
		require.Equal(t, id, r.body["userId"], escaped)
		b.do(call{http.MethodDelete, path + escaped, id, "", nil}).ok(http.StatusNoContent)
	}
}

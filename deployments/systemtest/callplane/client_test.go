package callplane_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
)

// api answers every call with the same, and keeps the last request.
func api(t *testing.T, status int, contentType, body string) (*callplane.Client, *http.Request, *string) {
	t.Helper()
	var got http.Request
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, sent = *r, string(text)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("ETag", `"4"`)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	client := callplane.New(server.URL)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, &got, &sent
}

func TestUpdateSendsAMergePatch(t *testing.T) {
	client, got, sent := api(t, 200, "application/json", `{"sessionId":"s","status":"ended","version":4}`)
	session, err := client.As("alice", "call:read", "call:admin").Update(t.Context(), "s", `"3"`, map[string]any{"title": nil})
	require.NoError(t, err)
	require.Equal(t, `"4"`, session.ETag)
	require.Equal(t, int64(4), session.Version)
	require.Equal(t, "PATCH /v1/call/sessions/s", got.Method+" "+got.URL.Path)
	require.Equal(t, "application/merge-patch+json", got.Header.Get("Content-Type"))
	require.Equal(t, `"3"`, got.Header.Get("If-Match"))
	require.Equal(t, "alice", got.Header.Get("X-User-Id"))
	require.Equal(t, "call:read call:admin", got.Header.Get("X-Scopes"))
	require.JSONEq(t, `{"title":null}`, *sent)
}

func TestRefusalIsAProblem(t *testing.T) {
	client, _, _ := api(t, 400, "application/problem+json; charset=utf-8",
		`{"status":400,"code":"invalid_request","detail":"two things","requestId":"r-1","errors":[{"pointer":"/kind","code":"enum","message":"is not a kind"}]}`)
	_, err := client.As("alice").Create(t.Context(), callplane.NewSession{Kind: "smell"})
	var problem *callplane.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, "invalid_request", problem.Code)
	require.Equal(t, "1", problem.RetryAfter)
	require.EqualError(t, err, "POST /v1/call/sessions answered 400 invalid_request: two things; /kind is not a kind (request r-1)")
}

func TestAnythingElseIsAnErrorToo(t *testing.T) {
	client, _, _ := api(t, 502, "text/html", "<h1>Bad gateway</h1>")
	_, err := client.Get(t.Context(), "s")
	require.ErrorContains(t, err, "502")
	require.ErrorContains(t, err, "text/html")
	var problem *callplane.Problem
	require.NotErrorAs(t, err, &problem)
}

func TestEventsKeepTheirBytes(t *testing.T) {
	const event = `{"eventId":"e","payload":{"n":1.50},"type":"call.ended","future":[1, 2]}`
	client, got, _ := api(t, 200, "application/json", `{"items":[`+event+`],"lastEventId":"e","hasMore":true}`)
	page, err := client.Events(t.Context(), "s", "w", 5, "call.ended", "call.failed")
	require.NoError(t, err)
	require.Equal(t, "after=w&limit=5&types=call.ended%2Ccall.failed", got.URL.RawQuery)
	require.True(t, page.HasMore)
	require.Equal(t, "e", page.Items[0].EventID)
	require.Equal(t, event, string(page.Items[0].Raw))
}

func TestTokenIsNotShown(t *testing.T) {
	token := callplane.Token{Token: "the-secret", Identity: "alice#default", RoomName: "call-s"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, token), "the-secret", format)
	}
	text, err := json.Marshal(token)
	require.NoError(t, err)
	require.Contains(t, string(text), "the-secret", "whoever encodes it wants it")
}

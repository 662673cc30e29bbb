package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
)

// The fuzz tests send what they are given to the whole stack. The document says whether the answer, and the request where it was not refused,
// may be; nothing is an error of the server's own.

// fuzzed makes a request that is not refused but for what the caller did.
func (b *bundle) fuzzed(request *http.Request, sent string) (*http.Response, []byte) {
	b.t.Helper()
	response, text := exchange(b.t, b.engine, request, sent)
	require.Less(b.t, response.StatusCode, http.StatusInternalServerError, "%s", text)
	b.quiet()
	return response, text
}

// fuzzBody sends bodies to one endpoint. A body that is accepted is one that every reader takes for the same.
func fuzzBody(f *testing.F, method, suffix string, right ...string) {
	f.Helper()
	for _, name := range sortedNames(badBodies) {
		if body := badBodies[name].body; len(body) < 1<<10 {
			f.Add([]byte(body))
		}
	}
	for _, body := range right {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := setup(t)
		path := "/v1/call/sessions"
		if suffix != "" || method != http.MethodPost {
			path = b.session("") + suffix
		}
		request := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
		request.Header.Set("X-User-Id", "alice")
		request.Header.Set("Content-Type", "application/json")
		response, _ := b.fuzzed(request, string(body))
		if response.StatusCode < http.StatusBadRequest && len(body) > 0 {
			require.True(t, utf8.Valid(body))
			require.True(t, json.Valid(body))
		}
	})
}

func FuzzCreate(f *testing.F) {
	fuzzBody(f, http.MethodPost, "",
		`{}`, `{"kind":"audio","provider":"livekit","title":"Weekly","metadata":{"a":[1,2.5,{"b":null}]},"members":[{"userId":"bob","role":"viewer"}]}`,
		`{"title":null,"metadata":{"n":1e300,"u":"\ud83d\ude00"}}`, `{"ownerId":"bob"}`)
}

func FuzzPatch(f *testing.F) {
	fuzzBody(f, http.MethodPatch, "",
		`{}`, `{"status":"ended","endReason":"done"}`, `{"title":"x","metadata":{"a":null,"b":{"c":1}}}`, `{"metadata":null,"title":null}`,
		`{"status":"active","provider":"livekit","providerRoomId":"r","providerParticipantId":"p","providerCallId":"c"}`)
}

func FuzzToken(f *testing.F) {
	fuzzBody(f, http.MethodPost, "/token", ``, `{}`, `{"ttlSeconds":60,"deviceId":"phone","displayName":"Bob"}`, `{"ttlSeconds":6.0e1}`, `{"ttlSeconds":1e999}`)
}

func FuzzMember(f *testing.F) {
	fuzzBody(f, http.MethodPut, "/members/bob", `{"role":"viewer"}`, `{"role":"host"}`, `{"role":null}`)
}

// FuzzQuery sends queries to the list and to the log.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{
		"", "limit=1", "limit=200&status=created,ended", "limit=+5", "limit=007", "status=created,created", "cursor=x", "cursor=", "a=b&a=c", "%zz", "limit=1;x=2",
		"after=019ab1c2-5e01-7a11-9b2c-000000000001", "types=call.created,call.ended", "types=", "after=%00", "limit=1&limit=1", "LIMIT=1",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		b := setup(t)
		for _, path := range []string{"/v1/call/sessions", b.session("") + "/events"} {
			request := newRequest(t, http.MethodGet, path, "alice")
			request.URL.RawQuery = query
			b.fuzzed(request, "")
		}
	})
}

// FuzzHeaders sends If-Match with a change, and Idempotency-Key with a session to create. The same key, and only that, gets the answer again.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{`"1"`, `*`, `W/"1"`, `"1", "2"`, `"1",`, `""`, `"a\"b"`, `"\\"`, `key`, `"`, "8e03978e-40d5-43dd-bc93-6894a57f9324", "a b", "\xff", strings.Repeat("k", 256)} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, match, key string) {
		b := setup(t)
		change := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, b.session(""), strings.NewReader(`{"title":"x"}`))
		change.Header = http.Header{"X-User-Id": {"alice"}, "Content-Type": {"application/json"}, "If-Match": {match}}
		b.fuzzed(change, `{"title":"x"}`)

		create := func() (*http.Response, []byte) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/call/sessions", strings.NewReader(`{}`))
			request.Header = http.Header{"X-User-Id": {"alice"}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
			return b.fuzzed(request, `{}`)
		}
		first, text := create()
		again, repeated := create()
		require.Equal(t, first.StatusCode, again.StatusCode)
		if first.StatusCode == http.StatusCreated {
			require.Equal(t, string(text), string(repeated))
			require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		}
	})
}

// FuzzBearer sends Authorization. Only the one known token opens anything.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer a.b.c", "bearer  a.b.c", "Bearer", "Bearer ", "Basic a.b.c", "Bearer a.b.c d", "Bearer\ta.b.c", "a.b.c", "", "Bearer a.b.c,Bearer a.b.c", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		request := &http.Request{Header: http.Header{"Authorization": {authorization}}}
		principal, err := httpapi.BearerAuth{Tokens: tokens{"a.b.c": {UserID: "alice"}}}.Authenticate(request.WithContext(t.Context()))
		if err != nil {
			require.ErrorIs(t, err, httpapi.ErrUnauthenticated)
			return
		}
		require.Equal(t, "alice", principal.UserID)
		scheme, token, _ := strings.Cut(authorization, " ")
		require.True(t, strings.EqualFold(scheme, "bearer"))
		require.Equal(t, "a.b.c", strings.TrimLeft(token, " "))
	})
}

func sortedNames[T any](m map[string]T) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

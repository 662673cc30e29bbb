package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
)

const page = "https://app.example.com"

func setupOrigins(t *testing.T, change ...func(*httpapi.API, *httpserver.Options)) *bundle {
	t.Helper()
	return setupWith(t, memory.NewStore(), append(change, func(api *httpapi.API, _ *httpserver.Options) {
		api.Origins = []string{page, "http://localhost:5173"}
	})...)
}

// names splits a header's list, in lower case.
func names(header http.Header, name string) []string {
	var list []string
	for _, value := range header.Values(name) {
		for entry := range strings.SplitSeq(value, ",") {
			list = append(list, strings.ToLower(strings.TrimSpace(entry)))
		}
	}
	slices.Sort(list)
	return list
}

// preflight asks as browsers do before a request that pages can't make without being allowed to.
func preflight(t *testing.T, engine *gin.Engine, path, origin, method, headers string) *http.Response {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, path, nil)
	request.Header.Set("Origin", origin)
	request.Header.Set("Access-Control-Request-Method", method)
	if headers != "" {
		request.Header.Set("Access-Control-Request-Headers", headers)
	}
	response, text := exchange(t, engine, request, "")
	require.Empty(t, text)
	return response
}

func TestPreflight(t *testing.T) {
	b := setupOrigins(t)
	bearer := setupOrigins(t, func(api *httpapi.API, _ *httpserver.Options) { api.Auth = httpapi.BearerAuth{Tokens: tokens{}} })
	want := []string{"authorization", "content-type", "idempotency-key", "if-match", "last-event-id", "traceparent", "x-request-id"}
	for _, path := range []string{"/v1/call/sessions", "/v1/call/sessions/x", "/v1/call/sessions/x/token", "/openapi.json"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			for _, headers := range []string{"", "authorization", "authorization,content-type", "Content-Type, Authorization"} {
				r := preflight(t, bearer.engine, path, page, method, headers)
				require.Equal(t, http.StatusNoContent, r.StatusCode)
				require.Equal(t, page, r.Header.Get("Access-Control-Allow-Origin"))
				require.Contains(t, names(r.Header, "Access-Control-Allow-Methods"), strings.ToLower(method))
				require.Equal(t, want, names(r.Header, "Access-Control-Allow-Headers"))
				require.Equal(t, "600", r.Header.Get("Access-Control-Max-Age"))
				require.Empty(t, r.Header.Get("Access-Control-Allow-Credentials"))
				require.Contains(t, names(r.Header, "Vary"), "origin")
				require.NotEmpty(t, r.Header.Get("X-Request-Id"))
			}
		}
	}
	r := preflight(t, b.engine, "/v1/call/sessions", page, "POST", "x-user-id")
	require.Equal(t, append(slices.Clone(want), "x-scopes", "x-user-id"), sorted(names(r.Header, "Access-Control-Allow-Headers"), want), "in development")
}

// sorted puts the names that are not in first behind the others.
func sorted(list, first []string) []string {
	rest := slices.DeleteFunc(slices.Clone(list), func(name string) bool { return slices.Contains(first, name) })
	return append(slices.Clone(first), rest...)
}

func TestOtherOriginsAreNotAllowed(t *testing.T) {
	b := setupOrigins(t)
	for _, origin := range []string{
		"https://evil.example.com", page + ".evil.example.com", "http://app.example.com", page + ":8443", "https://APP.example.com", "null", "*",
		"https://app.example.co", page + "/", "https://x." + strings.TrimPrefix(page, "https://"), "http://localhost:5174",
	} {
		r := preflight(t, b.engine, "/v1/call/sessions", origin, "POST", "authorization")
		require.Equal(t, http.StatusNoContent, r.StatusCode)
		for name := range r.Header {
			require.NotContains(t, name, "Access-Control", origin)
		}
		require.Contains(t, names(r.Header, "Vary"), "origin")
		plain := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{}`, map[string]string{"Origin": origin}}).ok(http.StatusCreated)
		for name := range plain.header {
			require.NotContains(t, name, "Access-Control", origin)
		}
		require.Contains(t, names(plain.header, "Vary"), "origin", "caches must not give this answer to an allowed page")
	}
	unknown := preflight(t, b.engine, "/v1/call/sessions", page, "BREW", "")
	require.Empty(t, unknown.Header.Get("Access-Control-Allow-Origin"))
}

func TestEveryAnswerIsShownToThePage(t *testing.T) {
	b := setupOrigins(t, func(api *httpapi.API, _ *httpserver.Options) { api.Token.Store = nil }) // which panics
	path := b.session("")
	for name, test := range map[string]struct {
		call
		status int
	}{
		"created":          {call{http.MethodPost, "/v1/call/sessions", "alice", `{}`, nil}, http.StatusCreated},
		"read":             {call{http.MethodGet, path, "alice", "", nil}, http.StatusOK},
		"description":      {call{http.MethodGet, "/openapi.json", "", "", nil}, http.StatusOK},
		"bad JSON":         {call{http.MethodPost, "/v1/call/sessions", "alice", `{`, nil}, http.StatusBadRequest},
		"unauthenticated":  {call{http.MethodGet, path, "", "", nil}, http.StatusUnauthorized},
		"forbidden":        {call{http.MethodPatch, path, "bob", `{}`, nil}, http.StatusForbidden},
		"stranger":         {call{http.MethodGet, path, "mallory", "", nil}, http.StatusNotFound},
		"unknown route":    {call{http.MethodGet, "/nowhere", "alice", "", nil}, http.StatusNotFound},
		"wrong method":     {call{http.MethodDelete, "/v1/call/sessions", "alice", "", nil}, http.StatusMethodNotAllowed},
		"OPTIONS":          {call{http.MethodOptions, "/v1/call/sessions", "alice", "", nil}, http.StatusMethodNotAllowed},
		"too large":        {call{http.MethodPost, "/v1/call/sessions", "alice", `"` + strings.Repeat("x", 65<<10) + `"`, nil}, http.StatusRequestEntityTooLarge},
		"wrong media type": {call{http.MethodPatch, path, "alice", `{}`, map[string]string{"Content-Type": "text/plain"}}, http.StatusUnsupportedMediaType},
		"panic":            {call{http.MethodPost, path + "/token", "alice", "", nil}, http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			header := map[string]string{"Origin": page}
			for name, value := range test.header {
				header[name] = value
			}
			test.header = header
			bb := *b
			bb.t = t
			r := bb.do(test.call)
			require.Equal(t, test.status, r.status, "%s", r.text)
			require.Equal(t, []string{page}, r.header.Values("Access-Control-Allow-Origin"))
			require.Equal(t, []string{"etag", "idempotency-replayed", "location", "retry-after", "x-request-id"}, names(r.header, "Access-Control-Expose-Headers"))
			require.Empty(t, r.header.Get("Access-Control-Allow-Credentials"))
			require.Contains(t, names(r.header, "Vary"), "origin")
		})
	}
}

func TestWithoutOriginsThereIsNoCORS(t *testing.T) {
	b := setup(t)
	r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{}`, map[string]string{"Origin": page}}).ok(http.StatusCreated)
	require.Empty(t, r.header.Get("Vary"))
	require.Empty(t, r.header.Get("Access-Control-Allow-Origin"))
	b.do(call{http.MethodOptions, "/v1/call/sessions", "", "", map[string]string{"Origin": page, "Access-Control-Request-Method": "POST"}}).
		problem(http.StatusMethodNotAllowed, "method_not_allowed")
}

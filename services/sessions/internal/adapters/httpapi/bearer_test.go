package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// tokens knows a few tokens.
type tokens map[string]domain.Principal

func (known tokens) Verify(_ context.Context, token string) (domain.Principal, error) {
	if token == "unchecked" {
		return domain.Principal{}, fmt.Errorf("no keys: %w", ports.ErrUnavailable)
	}
	principal, ok := known[token]
	if !ok {
		return domain.Principal{}, &ports.InvalidTokenError{Reason: "has expired"}
	}
	return principal, nil
}

func setupBearer(t *testing.T) *bundle {
	t.Helper()
	known := tokens{
		"a.b.c": {UserID: "alice", ExpiresAt: time.Now().Add(time.Hour)},
		"s.t.u": {UserID: "support", Scopes: []domain.Scope{domain.ScopeAdmin}},
	}
	return setupWith(t, memory.NewStore(), func(api *httpapi.API, _ *httpserver.Options) { api.Auth = httpapi.BearerAuth{Tokens: known} })
}

func TestBearer(t *testing.T) {
	b := setupBearer(t)
	var path string
	for _, value := range []string{"Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"} {
		r := b.do(call{http.MethodPost, "/v1/call/sessions", "", `{}`, map[string]string{"Authorization": value}}).ok(http.StatusCreated)
		require.Equal(t, "alice", r.body["ownerId"])
		path = r.header.Get("Location")
	}
	b.do(call{http.MethodPatch, path, "", `{"title":"x"}`, map[string]string{"Authorization": "Bearer s.t.u"}}).ok(http.StatusOK)
}

func TestBearerIsMissing(t *testing.T) {
	b := setupBearer(t)
	for _, header := range []map[string]string{
		{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": "a.b.c"},
		{"Authorization": "Token a.b.c"}, {"X-User-Id": "alice", "X-Scopes": "call:admin"}, {"Cookie": "access_token=a.b.c"},
	} {
		r := b.do(call{http.MethodPost, "/v1/call/sessions?access_token=a.b.c", "", `{}`, header}).problem(http.StatusUnauthorized, "unauthenticated")
		require.Equal(t, `Bearer realm="callplane"`, r.header.Get("WWW-Authenticate"), "no error where there are no credentials (RFC 6750, section 3.1)")
		require.Contains(t, r.body["detail"], "Authorization")
		require.Equal(t, false, r.body["retryable"])
	}
}

func TestBearerIsRefused(t *testing.T) {
	b := setupBearer(t)
	for _, path := range []string{"/v1/call/sessions/x", "/v1/call/sessions/x/events"} {
		r := b.do(call{http.MethodGet, path, "alice", "", map[string]string{"Authorization": "Bearer hunter2.hunter2.hunter2", "X-Scopes": "call:admin"}}).
			problem(http.StatusUnauthorized, "unauthenticated")
		require.Equal(t, `Bearer realm="callplane", error="invalid_token", error_description="The token has expired."`, r.header.Get("WWW-Authenticate"))
		require.Equal(t, "The token has expired.", r.body["detail"])
		require.NotContains(t, string(r.text), "hunter2")
	}
	require.NotContains(t, b.log.String(), "hunter2")
}

func TestBearerThatCanNotBeCheckedNow(t *testing.T) {
	r := setupBearer(t).do(call{http.MethodGet, "/v1/call/sessions/x", "", "", map[string]string{"Authorization": "Bearer unchecked"}}).
		problem(http.StatusServiceUnavailable, "unavailable")
	require.Equal(t, true, r.body["retryable"])
	require.Equal(t, "1", r.header.Get("Retry-After"))
	require.Empty(t, r.header.Get("WWW-Authenticate"), "the caller may be who they say")
}

func TestTwoTokensAreNone(t *testing.T) {
	request := &http.Request{Header: http.Header{"Authorization": {"Bearer a.b.c", "Bearer s.t.u"}}}
	_, err := httpapi.BearerAuth{Tokens: tokens{"a.b.c": {UserID: "alice"}, "s.t.u": {UserID: "support"}}}.Authenticate(request)
	require.ErrorIs(t, err, httpapi.ErrUnauthenticated)
}

//go:build integration

package wiring

import (
	"net/http"
	"strings"
	"testing"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
)

// TestServiceForUsers runs as it does in front of users: tokens, web pages of one origin, and a limit.
func TestServiceForUsers(t *testing.T) {
	const page = "https://app.example.com"
	vhost := testkit.Rabbit(t).Vhost(t)
	service := run(t, append(databases(t),
		"AMQP_URL="+vhost.URL("sessions"), "AUTH_MODE=", "AUTH_HS256_SECRET="+sharedSecret, "AUTH_ISSUER=id", "CORS_ALLOWED_ORIGINS="+page, "RATE_LIMIT_RPS=0.01",
	)...)
	service.ready(http.StatusOK, "ok")
	token, err := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, jwtlib.MapClaims{
		"sub": "alice", "iss": "id", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(sharedSecret))
	require.NoError(t, err)
	ask := func(authorization string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, service.base+"/v1/call/sessions", strings.NewReader(`{}`))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Origin", page)
		request.Header.Set("X-User-Id", "mallory")
		request.Header.Set("Authorization", authorization)
		response, err := service.client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, page, response.Header.Get("Access-Control-Allow-Origin"))
		return response
	}
	refused := ask("Bearer " + token + "x")
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	require.Contains(t, refused.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
	require.Equal(t, http.StatusTooManyRequests, ask("").StatusCode, "the address has shown nothing twice")
	require.Equal(t, http.StatusCreated, ask("Bearer "+token).StatusCode)
	limited := ask("Bearer " + token)
	require.Equal(t, http.StatusTooManyRequests, limited.StatusCode)
	require.NotEmpty(t, limited.Header.Get("Retry-After"))
	for _, part := range strings.Split(token, ".") {
		require.NotContains(t, service.log.String(), part)
	}
	require.NotContains(t, service.log.String(), sharedSecret)
}

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// command runs one as a shell would.
func command(t *testing.T, environ []string, args ...string) (status int, out, errOut string) {
	t.Helper()
	var stdout, stderr strings.Builder
	status = run(t.Context(), args, environ, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func TestCommands(t *testing.T) {
	status, out, _ := command(t, nil, "version")
	require.Zero(t, status)
	require.Equal(t, "dev\n", out)
	for _, help := range []string{"help", "--help", "-h"} {
		status, out, _ = command(t, nil, help)
		require.Zero(t, status)
		require.Contains(t, out, "DATABASE_URL")
	}
	for _, args := range [][]string{{"sing"}, {"serve", "now"}} {
		status, _, errOut := command(t, nil, args...)
		require.Equal(t, 1, status)
		require.Contains(t, errOut, "--help")
	}
}

func TestAuditCommands(t *testing.T) {
	for _, test := range []struct{ args, wrong string }{
		{"verify", "DATABASE_URL"}, {"verify --session x", "--session"}, {"verify --loud", "usage: sessions verify"}, {"verify now", "now"},
		{"quarantine", "usage: sessions quarantine list"}, {"quarantine empty", "usage"}, {"quarantine list --limit 0", "--limit"},
		{"quarantine list", "DATABASE_URL"},
	} {
		status, out, errOut := command(t, nil, strings.Fields(test.args)...)
		require.Equal(t, 1, status, test.args)
		require.Empty(t, out)
		require.Contains(t, errOut, test.wrong, test.args)
		require.NotContains(t, errOut, "AMQP_URL")
	}
	_, out, _ := command(t, nil, "--help")
	require.Contains(t, out, "verify")
	require.Contains(t, out, "quarantine")
}

func TestDeadNeedsTheBrokerAlone(t *testing.T) {
	status, _, errOut := command(t, nil, "dead", "list")
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "AMQP_URL")
	require.NotContains(t, errOut, "DATABASE_URL")
	status, _, errOut = command(t, nil, "dead")
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "dead requeue")
	_, out, _ := command(t, nil, "--help")
	require.Contains(t, out, "dead requeue")
}

func TestBadSettings(t *testing.T) {
	status, _, errOut := command(t, []string{"DATABASE_URL=postgres://u:geheim@h/d", "AUTH_MODE=none"})
	require.NotZero(t, status)
	require.Contains(t, errOut, "AMQP_URL")
	require.Contains(t, errOut, "AUTH_MODE")
	require.NotContains(t, errOut, "geheim")
	status, _, errOut = command(t, nil, "migrate")
	require.NotZero(t, status)
	require.Contains(t, errOut, "MIGRATE_DATABASE_URL")
}

func TestHealthcheck(t *testing.T) {
	ready := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(ready) }))
	defer server.Close()
	environ := []string{"HTTP_ADDR=" + strings.TrimPrefix(server.URL, "http://")}
	status, _, _ := command(t, environ, "healthcheck")
	require.Zero(t, status)
	ready = http.StatusServiceUnavailable
	status, _, errOut := command(t, environ, "healthcheck")
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "not ready")
}

//go:build integration

package systemtest

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// standInLabel marks an image that was built here because no registry answered.
const standInLabel = "callplane.standin"

// TestServersAreThePinned asks every running server for its version: the pinned one for an official image; for a stand-in, which is built
// from what a distribution has, the same major version and nothing older.
func TestServersAreThePinned(t *testing.T) {
	t.Parallel()
	postgres, broker := testkit.Postgres(t), testkit.Rabbit(t)
	livekit := testkit.LiveKitWithRedis(t, "")
	var overview struct {
		Version string `json:"rabbitmq_version"`
	}
	broker.Management.Get(t, "/api/overview", &overview)
	for name, server := range map[string]struct {
		container *testkit.Container
		version   string
	}{
		"POSTGRES_IMAGE": {postgres.Container, query(t, postgres.AdminURL("postgres"), "SHOW server_version")[0]},
		"RABBITMQ_IMAGE": {broker.Container, overview.Version},
		"LIVEKIT_IMAGE":  {livekit.Container, liveKitVersion(t, livekit)},
		"REDIS_IMAGE":    {livekit.Redis, livekit.Redis.Exec(t, "redis-cli", "INFO", "server")},
	} {
		want, got := numbers(t, pins(t)[name]), numbers(t, server.version)
		t.Logf("%s: pinned %v, runs %v", name, want, got)
		exact := server.container != nil && server.container.ImageLabels(t)[standInLabel] != "true"
		if exact {
			require.Equal(t, want, got[:len(want)], name)
			continue
		}
		require.Equal(t, want[0], got[0], "%s: another major version", name)
		require.GreaterOrEqual(t, weight(got), weight(want), "%s: older than pinned", name)
	}
}

// serverVersions are the versions of what the services of a stack run on and with, as those say themselves.
func serverVersions(t *testing.T, s *stack.Stack) map[string]string {
	t.Helper()
	var overview struct {
		Version string `json:"rabbitmq_version"`
	}
	s.Vhost.Broker.Management.Get(t, "/api/overview", &overview)
	postgres, _, _ := strings.Cut(query(t, s.SessionsDB.AdminURL, "SHOW server_version")[0], " ")
	return map[string]string{"RabbitMQ": overview.Version, "PostgreSQL": postgres, "Go": "go" + pins(t)["GO_VERSION"]}
}

// liveKitVersion asks the server's own binary.
func liveKitVersion(t *testing.T, server *testkit.LiveKitServer) string {
	t.Helper()
	if server.Container == nil {
		t.Skip("TEST_LIVEKIT_URL names a server which has no way to ask for its version; it is not checked")
	}
	return server.Exec(t, "/livekit-server", "--version")
}

// numbers gives the first dotted version in a text.
func numbers(t *testing.T, text string) []int {
	t.Helper()
	if _, tag, ok := strings.Cut(text, ":"); ok {
		text = tag
	}
	found := regexp.MustCompile(`\d+(\.\d+)+`).FindString(text)
	require.NotEmpty(t, found, "no version in %q", text)
	var parts []int
	for part := range strings.SplitSeq(found, ".") {
		n, err := strconv.Atoi(part)
		require.NoError(t, err)
		parts = append(parts, n)
	}
	return parts
}

// weight makes versions of one form comparable.
func weight(version []int) int {
	sum := 0
	for i := range 3 {
		sum *= 1000
		if i < len(version) {
			sum += version[i]
		}
	}
	return sum
}

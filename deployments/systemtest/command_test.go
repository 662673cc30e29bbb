//go:build integration

package systemtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// quick is how long a command that doesn't serve may take.
const quick = 30 * time.Second

// settingsOf is what each service's --help must list.
var settingsOf = map[string][]string{
	"sessions": {"HTTP_ADDR", "ADMIN_ADDR", "DATABASE_URL", "MIGRATE_DATABASE_URL", "AMQP_URL", "EVENT_PARTITIONS", "LOG_LEVEL", "LOG_FORMAT",
		"SHUTDOWN_DELAY", "SHUTDOWN_TIMEOUT", "MIGRATE_ON_START", "AUTH_MODE", "AUTH_JWKS_URL", "AUTH_HS256_SECRET", "AUTH_ISSUER", "AUTH_AUDIENCE",
		"CORS_ALLOWED_ORIGINS", "RATE_LIMIT_RPS", "TRUSTED_PROXIES"},
	"bridge": {"HTTP_ADDR", "ADMIN_ADDR", "DATABASE_URL", "MIGRATE_DATABASE_URL", "AMQP_URL", "EVENT_PARTITIONS", "LOG_LEVEL", "LOG_FORMAT",
		"SHUTDOWN_DELAY", "SHUTDOWN_TIMEOUT", "MIGRATE_ON_START", "LIVEKIT_API_URL", "LIVEKIT_PUBLIC_URL", "LIVEKIT_API_KEY",
		"LIVEKIT_API_SECRET", "LIVEKIT_WEBHOOK_KEYS", "ROOM_DEPARTURE_TIMEOUT", "ROOM_EMPTY_TIMEOUT", "RECONNECT_WINDOW", "RECONCILE_INTERVAL"},
}

// finish runs a command that ends by itself, and gives its exit code and what it wrote.
func finish(t *testing.T, p *stack.Process) (int, string) {
	t.Helper()
	t.Cleanup(p.End)
	p.Start(t)
	code := p.Wait(t, quick)
	return code, p.Log()
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for service, settings := range settingsOf {
		binary := stack.Binary(t, service)
		code, help := finish(t, stack.NewProcess(service, binary, nil, "--help"))
		require.Zero(t, code)
		for _, setting := range settings {
			require.Contains(t, help, setting, "the help of %s", service)
		}
		for _, command := range []string{"serve", "migrate", "version", "healthcheck"} {
			require.Contains(t, help, command, "the help of %s", service)
		}
		for _, command := range []string{"verify", "quarantine"} {
			require.Equal(t, service == "sessions", strings.Contains(help, "\n  "+command), "the help of %s", service)
		}
		code, version := finish(t, stack.NewProcess(service, binary, nil, "version"))
		require.Zero(t, code)
		require.NotEmpty(t, strings.TrimSpace(version))
		code, _ = finish(t, stack.NewProcess(service, binary, nil, "no-such-command"))
		require.NotZero(t, code)
	}
}

// TestBadSettings gives several at once: each is named with what to do, and no secret is repeated.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-that-is-nobodys-business"
	for _, service := range stack.Services {
		code, said := finish(t, stack.NewProcess(service, stack.Binary(t, service), map[string]string{
			"DATABASE_URL":       "postgres://user:" + secret + "@%zz/",
			"AMQP_URL":           "amqp://user:" + secret + "@127.0.0.1:port/",
			"EVENT_PARTITIONS":   "many",
			"SHUTDOWN_TIMEOUT":   "soon",
			"AUTH_MODE":          "whatever",
			"LIVEKIT_API_SECRET": secret[:8],
		}))
		require.NotZero(t, code)
		names := []string{"EVENT_PARTITIONS", "SHUTDOWN_TIMEOUT", "AMQP_URL", "DATABASE_URL"}
		if service == "sessions" {
			names = append(names, "AUTH_MODE")
		} else {
			names = append(names, "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "LIVEKIT_API_URL", "LIVEKIT_PUBLIC_URL")
		}
		for _, name := range names {
			require.Contains(t, said, name, "%s has to name every bad setting at once", service)
		}
		require.NotContains(t, said, secret)
		require.NotContains(t, said, secret[:8])
		require.NotContains(t, said, "goroutine ", "a panic is no message")
	}
}

// partitionMismatch starts each service once more on the same broker with another number of partitions.
func partitionMismatch(t *testing.T, s *stack.Stack) {
	for _, p := range []*stack.Process{s.Sessions, s.Bridge} {
		port := testkit.FreePort(t)
		code, said := finish(t, p.With(map[string]string{
			"EVENT_PARTITIONS": "4", "HTTP_ADDR": address(port), "ADMIN_ADDR": address(testkit.FreePort(t)),
		}))
		require.NotZero(t, code)
		require.Contains(t, said, "EVENT_PARTITIONS")
	}
}

// TestModulesBuildAlone builds each module without the workspace, as the images do.
func TestModulesBuildAlone(t *testing.T) {
	t.Parallel()
	for _, module := range modules(t) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		// As the tests build it, so that nothing is compiled for this alone.
		cmd := exec.CommandContext(ctx, "go", "build", "-race", "./...")
		cmd.Dir = filepath.Join(testkit.Root(), module)
		cmd.Env = append(os.Environ(), "GOWORK=off")
		output, err := cmd.CombinedOutput()
		cancel()
		require.NoError(t, err, "%s:\n%s", module, output)
	}
}

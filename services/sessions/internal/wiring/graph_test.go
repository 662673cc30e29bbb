package wiring

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/callplane/callplane/libs/config"
)

func environment(more ...string) []string {
	return append([]string{
		"DATABASE_URL=postgres://sessions:db-secret@127.0.0.1:1/sessions", "MIGRATE_DATABASE_URL=postgres://owner:owner-secret@127.0.0.1:1/sessions",
		"AMQP_URL=amqp://sessions:broker-secret@127.0.0.1:1/", "AUTH_MODE=dev",
	}, more...)
}

func TestGraphIsWhole(t *testing.T) {
	settings, err := config.Load[Settings](environment())
	require.NoError(t, err)
	require.NoError(t, fx.ValidateApp(Options(settings, Build{Version: "test", Output: io.Discard})))
}

func TestBadSettingsAreAllTold(t *testing.T) {
	_, err := config.Load[Settings](environment(
		"AUTH_MODE=none", "EVENT_PARTITIONS=1000", "SHUTDOWN_DELAY=1m", "LOG_LEVEL=loud", "HTTP_ADDR=nowhere", "MIGRATE_DATABASE_URL=",
		"ACTIVATION_TIMEOUT=0s", "SESSION_RETENTION=-1h",
	))
	require.Error(t, err)
	for _, name := range []string{"AUTH_MODE", "EVENT_PARTITIONS", "SHUTDOWN_DELAY", "LOG_LEVEL", "HTTP_ADDR", "MIGRATE_DATABASE_URL", "ACTIVATION_TIMEOUT", "SESSION_RETENTION"} {
		require.Contains(t, err.Error(), name)
	}
	require.Contains(t, err.Error(), "the modes are: jwt, dev")
	require.NotContains(t, err.Error(), "secret@")
}

func TestHelpListsEverySetting(t *testing.T) {
	var out strings.Builder
	require.NoError(t, Usage(&out))
	for _, name := range []string{
		"HTTP_ADDR", "ADMIN_ADDR", "DATABASE_URL", "MIGRATE_DATABASE_URL", "AMQP_URL", "EVENT_PARTITIONS", "LOG_LEVEL", "LOG_FORMAT",
		"SHUTDOWN_DELAY", "SHUTDOWN_TIMEOUT", "MIGRATE_ON_START", "AUTH_MODE", "AUTH_JWKS_URL", "AUTH_HS256_SECRET", "AUTH_ISSUER", "AUTH_AUDIENCE",
		"CORS_ALLOWED_ORIGINS", "RATE_LIMIT_RPS", "TRUSTED_PROXIES", "OTEL_", "ACTIVATION_TIMEOUT", "SESSION_RETENTION",
	} {
		require.Contains(t, out.String(), name)
	}
}

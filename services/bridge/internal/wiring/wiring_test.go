package wiring

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/callplane/callplane/libs/config"
)

// environ is a complete environment, changed by pairs of NAME=value.
func environ(changes ...string) []string {
	return append([]string{
		"DATABASE_URL=postgres://bridge@127.0.0.1:1/bridge",
		"MIGRATE_DATABASE_URL=postgres://owner@127.0.0.1:1/bridge",
		"AMQP_URL=amqp://bridge:x@127.0.0.1:1/",
		"LIVEKIT_API_URL=http://127.0.0.1:1",
		"LIVEKIT_PUBLIC_URL=wss://live.example",
		"LIVEKIT_API_KEY=key",
		"LIVEKIT_API_SECRET=" + strings.Repeat("s", 32),
	}, changes...)
}

func TestTheGraphIsComplete(t *testing.T) {
	settings, err := config.Load[Settings](environ())
	require.NoError(t, err)
	require.NoError(t, fx.ValidateApp(Options(settings, Build{Version: "test", Output: io.Discard})))
}

func TestSettingsAreCheckedAllAtOnce(t *testing.T) {
	const leaked = "short-secret"
	for name, bad := range map[string]string{
		"HTTP_ADDR": "nowhere", "EVENT_PARTITIONS": "0", "LIVEKIT_API_URL": "livekit:7880", "LIVEKIT_PUBLIC_URL": "http://x",
		"LIVEKIT_API_SECRET": leaked, "LIVEKIT_WEBHOOK_KEYS": "k: " + leaked, "ROOM_DEPARTURE_TIMEOUT": "1ms", "ROOM_EMPTY_TIMEOUT": "48h",
		"RECONNECT_WINDOW": "0s", "RECONCILE_INTERVAL": "10ms",
		"SHUTDOWN_TIMEOUT": "0s", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "MIGRATE_DATABASE_URL": "",
	} {
		_, err := config.Load[Settings](environ(name + "=" + bad))
		require.ErrorContains(t, err, name, bad)
		require.NotContains(t, err.Error(), leaked)
	}
	_, err := config.Load[Settings](environ("MIGRATE_DATABASE_URL=", "MIGRATE_ON_START=false"))
	require.NoError(t, err, "somebody else migrates")
	_, err = config.Load[Settings](nil)
	for _, name := range []string{"DATABASE_URL", "AMQP_URL", "LIVEKIT_API_URL", "LIVEKIT_PUBLIC_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"} {
		require.ErrorContains(t, err, name)
	}
}

func TestWebhookKeys(t *testing.T) {
	first, second := strings.Repeat("1", 32), strings.Repeat("2", 40)
	settings, err := config.Load[Settings](environ("LIVEKIT_WEBHOOK_KEYS=one: " + first + ",\n two:" + second + "\n"))
	require.NoError(t, err)
	keys, err := settings.LiveKit.webhookKeys()
	require.NoError(t, err)
	require.Equal(t, map[string]config.Secret{"one": config.Secret(first), "two": config.Secret(second), "key": config.Secret(strings.Repeat("s", 32))}, keys)
	for _, bad := range []string{"one", ": " + first} {
		_, err := config.Load[Settings](environ("LIVEKIT_WEBHOOK_KEYS=" + bad))
		require.ErrorContains(t, err, "LIVEKIT_WEBHOOK_KEYS")
	}
}

package metrics_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/adapters/metrics"
)

func TestEverythingIsCounted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	tally := metrics.NewTally(registry)
	tally.Webhook("room_started", "applied")
	tally.Webhook("room_started", "applied")
	tally.Refused("signature")
	tally.Token("issued")
	tally.Presence("nobody")
	tally.SessionEvent("call.ended")
	tally.RoomDeletion("deleted")
	tally.Enforcement("removal", "done")
	tally.EventMade("call.connecting")
	tally.EmissionRefused("call.connecting")
	tally.ProviderReachable(true)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP bridge_webhooks_total Genuine webhooks, by kind and what became of them.
# TYPE bridge_webhooks_total counter
bridge_webhooks_total{kind="room_started",outcome="applied"} 2
# HELP bridge_livekit_reachable 1 where the last probe of LiveKit's server API was answered.
# TYPE bridge_livekit_reachable gauge
bridge_livekit_reachable 1
`), "bridge_webhooks_total", "bridge_livekit_reachable"))
	tally.ProviderReachable(false)
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 10)
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

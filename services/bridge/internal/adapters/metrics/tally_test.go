package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/adapters/metrics"
)

func TestTally(t *testing.T) {
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
	tally.Window("ended")
	tally.Reconciliation("completed")
	tally.Difference("call.participant.joined")
	tally.EventMade("call.connecting")
	tally.EmissionRefused("call.connecting")
	tally.ProviderReachable(true)
	tally.RoomsUnanswered(7)
	tally.RoomsUnanswered(3)
	tally.RoomsUndeleted(2)
	tally.ClockOffset(-1500 * time.Millisecond)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP bridge_webhooks_total Genuine webhooks, by kind and what became of them.
# TYPE bridge_webhooks_total counter
bridge_webhooks_total{kind="room_started",outcome="applied"} 2
# HELP bridge_livekit_reachable 1 where the last probe of LiveKit's server API was answered.
# TYPE bridge_livekit_reachable gauge
bridge_livekit_reachable 1
# HELP bridge_rooms_unanswered Rooms for which LiveKit gave no answer when it was last asked.
# TYPE bridge_rooms_unanswered gauge
bridge_rooms_unanswered 3
# HELP bridge_rooms_undeleted Rooms that must go and that several attempts could not delete.
# TYPE bridge_rooms_undeleted gauge
bridge_rooms_undeleted 2
# HELP bridge_livekit_clock_offset_seconds How far LiveKit's clock is ahead of the bridge's; negative where it is behind.
# TYPE bridge_livekit_clock_offset_seconds gauge
bridge_livekit_clock_offset_seconds -1.5
`), "bridge_webhooks_total", "bridge_livekit_reachable", "bridge_rooms_unanswered", "bridge_rooms_undeleted",
		"bridge_livekit_clock_offset_seconds"))
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP bridge_reconcile_age_seconds Time since all calls were compared with LiveKit; +Inf where they never were.
# TYPE bridge_reconcile_age_seconds gauge
bridge_reconcile_age_seconds +Inf
`), "bridge_reconcile_age_seconds"))
	tally.Reconciled(time.Hour)
	age, err := testutil.GatherAndCount(registry, "bridge_reconcile_age_seconds")
	require.NoError(t, err)
	require.Equal(t, 1, age)
	tally.ProviderReachable(false)
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 17)
	for _, family := range families {
		if family.GetName() == "bridge_reconcile_age_seconds" {
			require.InDelta(t, 3600, family.GetMetric()[0].GetGauge().GetValue(), 60)
		}
	}
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

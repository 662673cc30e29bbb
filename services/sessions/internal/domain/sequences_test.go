package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

func reconnectingCall() events.Payload {
	return events.CallReconnectingPayload{ProviderRoom: room, Deadline: events.At(start)}
}

func reconnectedCall() events.Payload { return events.CallReconnectedPayload{ProviderRoom: room} }

// TestSequencesOfLostConnections are the sequences that the bridge tells of lost connections; it has the same table. Each event is taken,
// and the status is the one that presence asks for.
func TestSequencesOfLostConnections(t *testing.T) {
	const lostFor, failure = events.DisconnectReconnectTimeout, events.DisconnectProviderFailure
	type step struct {
		fact   events.Payload
		status events.Status
	}
	cases := map[string][]step{
		"one is lost and comes back":              {{lost("alice"), active}, {back("alice"), active}},
		"one is lost for good, the other goes on": {{lost("alice"), active}, {left("alice"), active}},
		"all are lost, one comes back": {
			{lost("alice"), active}, {lost("bob"), active}, {reconnectingCall(), reconnecting}, {back("bob"), reconnecting}, {reconnectedCall(), active},
		},
		"all are lost for good": {
			{lost("alice"), active}, {lost("bob"), active}, {reconnectingCall(), reconnecting}, {left("alice"), reconnecting},
			{left("bob"), reconnecting}, {disconnected(lostFor), failed},
		},
		"all are lost for good, and one joins anew": {
			{lost("alice"), active}, {lost("bob"), active}, {reconnectingCall(), reconnecting}, {left("alice"), reconnecting},
			{left("bob"), reconnecting}, {joined("bob"), reconnecting}, {reconnectedCall(), active},
		},
		"lost alice, then bob hangs up": {
			{lost("alice"), active}, {left("bob"), active}, {reconnectingCall(), reconnecting}, {left("alice"), reconnecting},
			{disconnected(events.DisconnectCompleted), ended},
		},
		"lost, back, and hung up": {
			{left("bob"), active}, {lost("alice"), active}, {reconnectingCall(), reconnecting}, {back("alice"), reconnecting},
			{reconnectedCall(), active}, {left("alice"), active}, {disconnected(events.DisconnectCompleted), ended},
		},
		"the server is killed and all come back": {
			{lost("alice"), active}, {lost("bob"), active}, {reconnectingCall(), reconnecting}, {back("alice"), reconnecting},
			{reconnectedCall(), active}, {back("bob"), active},
		},
		"the server is killed and nobody comes back": {
			{lost("alice"), active}, {lost("bob"), active}, {reconnectingCall(), reconnecting}, {left("alice"), reconnecting},
			{left("bob"), reconnecting}, {disconnected(failure), failed},
		},
		"a track is gone with its connection": {
			{published("alice", "TR_1"), active}, {unpublished("alice", "TR_1"), active}, {lost("alice"), active}, {back("alice"), active},
			{published("alice", "TR_1"), active},
		},
		"the last one leaves, and nobody is waited for": {{left("alice"), active}, {left("bob"), active}, {joined("alice"), active}},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			w := in(t, "", active)
			for _, user := range []string{"alice", "bob"} {
				require.Equal(t, domain.Append, w.observe(joined(user)).Decision)
			}
			for n, s := range steps {
				verdict := w.observe(s.fact)
				require.Equal(t, domain.Append, verdict.Decision, "%d %s: %s", n, s.fact.EventType(), verdict.Detail)
				require.Equal(t, s.status, w.session.Status(), "%d %s", n, s.fact.EventType())
			}
			w.requireReplays()
		})
	}
}

// TestAFinalSessionTakesWhatUndoesALoss ends a session in which somebody is waited for.
func TestAFinalSessionTakesWhatUndoesALoss(t *testing.T) {
	w := in(t, "", active)
	require.Equal(t, domain.Append, w.observe(joined("alice")).Decision)
	require.Equal(t, domain.Append, w.observe(lost("alice")).Decision)
	require.NoError(t, w.patch(domain.Patch{Status: ptr(ended)}))
	require.Equal(t, domain.QuarantineFinal, w.observe(back("alice")).Reason, "so the bridge doesn't tell it")
	require.Equal(t, domain.Append, w.observe(left("alice")).Decision)
	require.Equal(t, domain.Append, w.observe(disconnected(events.DisconnectCompleted)).Decision)
	require.Equal(t, ended, w.session.Status())
	w.requireReplays()
}

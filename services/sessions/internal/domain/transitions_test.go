package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// in makes a session in a status. provider "" is livekit.
func in(t *testing.T, provider string, status events.Status) *world {
	t.Helper()
	w := newWorld(t, domain.Spec{Provider: provider})
	if status == events.StatusCreated {
		return w
	}
	activate := func() {
		if provider == "" {
			require.Equal(t, domain.Append, w.observe(connected("alice")).Decision)
			return
		}
		require.NoError(t, w.patch(domain.Patch{
			Status: ptr(events.StatusActive), ProviderRoomID: ptr("r"), ProviderParticipantID: ptr("p"), ProviderCallID: ptr("c"),
		}))
	}
	activate()
	switch status {
	case events.StatusReconnecting:
		require.Equal(t, domain.Append, w.observe(events.CallReconnectingPayload{ProviderRoom: room, Deadline: events.At(start)}).Decision)
	case events.StatusEnded, events.StatusFailed:
		require.NoError(t, w.patch(domain.Patch{Status: &status}))
	default:
	}
	require.Equal(t, status, w.session.Status())
	return w
}

const (
	created      = events.StatusCreated
	active       = events.StatusActive
	reconnecting = events.StatusReconnecting
	ended        = events.StatusEnded
	failed       = events.StatusFailed
)

// TestFactsMoveTheSession is the table of the lifecycle as far as the provider's facts cause it; all pairs that are not in it change no
// status.
func TestFactsMoveTheSession(t *testing.T) {
	facts := map[string]events.Payload{
		"connecting":        events.CallConnectingPayload{ProviderRoom: room},
		"connected":         connected("bob"),
		"reconnecting":      events.CallReconnectingPayload{ProviderRoom: room, Deadline: events.At(start)},
		"reconnected":       events.CallReconnectedPayload{ProviderRoom: room},
		"completed":         disconnected(events.DisconnectCompleted),
		"reconnect_timeout": disconnected(events.DisconnectReconnectTimeout),
		"provider_failure":  disconnected(events.DisconnectProviderFailure),
		"error":             providerError(false),
		"retryable error":   providerError(true),
	}
	moves := map[events.Status]map[string]events.Status{
		created:      {"connected": active, "error": failed},
		active:       {"reconnecting": reconnecting, "completed": ended, "reconnect_timeout": failed, "provider_failure": failed},
		reconnecting: {"reconnected": active, "completed": ended, "reconnect_timeout": failed, "provider_failure": failed},
		ended:        {},
		failed:       {},
	}
	reports := map[string]bool{"connecting": true, "error": true, "retryable error": true}
	for from, row := range moves {
		for name, fact := range facts {
			t.Run(string(from)+" "+name, func(t *testing.T) {
				w := in(t, "", from)
				version, logged := w.session.Version(), len(w.log)
				verdict := w.observe(fact)
				to, moved := row[name]
				switch {
				case moved:
					require.Equal(t, domain.Append, verdict.Decision)
					require.Equal(t, to, w.session.Status())
					require.Equal(t, version+1, w.session.Version())
					last := w.types()[len(w.log)-1]
					require.Equal(t, to == ended, last == events.CallEnded)
					require.Equal(t, to == failed, last == events.CallFailed)
				case from == ended || from == failed:
					// The room that was left open may still be finished, and nothing else.
					if fact.EventType() == events.CallDisconnected {
						require.Equal(t, domain.Append, verdict.Decision)
						require.Empty(t, verdict.Drafts)
						require.Equal(t, domain.QuarantineFinal, w.observe(fact).Reason, "once")
					} else {
						require.Equal(t, domain.QuarantineFinal, verdict.Reason)
						require.Len(t, w.log, logged)
					}
					require.Equal(t, from, w.session.Status())
				default:
					require.Equal(t, from, w.session.Status())
					require.Equal(t, version, w.session.Version())
					if reports[name] {
						require.Equal(t, domain.Append, verdict.Decision)
					} else {
						require.Equal(t, domain.QuarantineTransition, verdict.Reason)
						require.Len(t, w.log, logged)
					}
				}
				w.requireReplays()
			})
		}
	}
}

// TestPatchMovesTheSession is the same for what callers cause, for a provider that the API activates and one that it doesn't.
func TestPatchMovesTheSession(t *testing.T) {
	moves := map[events.Status]map[events.Status]bool{
		created:      {ended: true},
		active:       {ended: true, failed: true},
		reconnecting: {ended: true, failed: true},
		ended:        {},
		failed:       {},
	}
	for _, provider := range []string{"", "pstn"} {
		for from, row := range moves {
			for to := range moves {
				if provider != "" && (from == reconnecting || from == created && to == active) {
					continue // no such facts for it; the other is tested by itself
				}
				t.Run(provider+" "+string(from)+" to "+string(to), func(t *testing.T) {
					w := in(t, provider, from)
					version, logged := w.session.Version(), len(w.log)
					err := w.patch(domain.Patch{Status: &to, Expect: domain.Precondition{}})
					var transition *domain.InvalidTransitionError
					switch {
					case from == to:
						require.NoError(t, err)
						require.Len(t, w.log, logged, "a replay emits nothing")
					case from == ended || from == failed:
						require.ErrorIs(t, err, domain.ErrSessionFinal)
					case row[to]:
						require.NoError(t, err)
						require.Equal(t, to, w.session.Status())
						require.Equal(t, version+1, w.session.Version())
						require.Len(t, w.log, logged+2)
					case to == active && provider == "":
						require.ErrorIs(t, err, domain.ErrProviderManaged)
					default:
						require.ErrorAs(t, err, &transition)
						require.Equal(t, domain.InvalidTransitionError{From: from, To: to}, *transition)
					}
					w.requireReplays()
				})
			}
		}
	}
}

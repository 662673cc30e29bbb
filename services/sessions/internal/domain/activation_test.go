package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

func (w *world) expire() {
	w.t.Helper()
	w.tick()
	w.appendDrafts(w.session.ExpireActivation(w.now))
}

// TestAnyHistoryWithADeadlineReplays lets the deadline pass anywhere among facts and commands.
func TestAnyHistoryWithADeadlineReplays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, domain.Spec{Provider: rapid.SampledFrom([]string{"livekit", "pstn"}).Draw(t, "provider")})
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			before, logged := w.session.Snapshot(), len(w.log)
			switch rapid.SampledFrom([]string{"fact", "patch", "deadline"}).Draw(t, "kind") {
			case "fact":
				w.observe(drawFact(t))
			case "patch":
				checkPatchError(t, w.patch(drawPatch(t)))
			case "deadline":
				w.expire()
				require.Equal(t, before.Status == created, len(w.log) == logged+1, "it fails what waits and leaves the rest alone")
			}
			checkStep(t, before, w.session.Snapshot(), len(w.log) > logged)
		}
		w.requireReplays()
	})
}

// TestOnlyAWaitingSessionExpires is the table of the lifecycle as far as the activation deadline causes it.
func TestOnlyAWaitingSessionExpires(t *testing.T) {
	for _, from := range []events.Status{created, active, reconnecting, ended, failed} {
		t.Run(string(from), func(t *testing.T) {
			w := in(t, "", from)
			before, logged := w.session.Snapshot(), len(w.log)
			w.expire()
			if from != created {
				require.Equal(t, before, w.session.Snapshot())
				require.Len(t, w.log, logged)
				return
			}
			after := w.session.Snapshot()
			require.Equal(t, failed, after.Status)
			require.Equal(t, domain.FailureActivationTimeout, after.Failure.Code)
			require.Equal(t, before.Version+1, after.Version)
			require.NotNil(t, after.EndedAt)
			require.Nil(t, after.StartedAt)
			require.Equal(t, []events.Type{events.CallCreated, events.CallFailed}, w.types())
			require.Equal(t, events.ActorSystem, w.log[1].Envelope.Actor.Type)
			payload, err := events.DecodePayload[events.CallFailedPayload](w.log[1].Envelope)
			require.NoError(t, err)
			require.Equal(t, after.Version, payload.SessionVersion)
			w.requireReplays()
			w.expire()
			require.Len(t, w.log, 2, "once")
			require.Equal(t, domain.QuarantineFinal, w.observe(connected("alice")).Reason, "whoever comes now comes too late")
		})
	}
}

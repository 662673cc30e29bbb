//go:build integration

package systemtest

import (
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// orchestrator is the broker user of a producer that is none of the services.
const orchestrator = "orchestrator"

// transcript is what somebody said.
func transcript(text string, sequence int) events.TranscriptFinalPayload {
	user, now := alice, events.At(time.Now())
	return events.TranscriptFinalPayload{Transcript: events.Transcript{
		SegmentID: "asr-1/1", Sequence: int64(sequence), Revision: 1, Speaker: &events.Speaker{UserID: &user}, Text: text, StartedAt: now, EndedAt: now,
	}}
}

// transcriptOf gives a final transcript of a session as an orchestrator publishes it.
func transcriptOf(t *testing.T, sessionID, text string) amqp.Publishing {
	t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	sealed, err := events.Seal(id, sessionID, events.Draft{
		Timestamp: time.Now(), Actor: events.Actor{Type: events.ActorService, ID: orchestrator}, Payload: transcript(text, 1),
	})
	require.NoError(t, err)
	var trace [24]byte
	_, _ = rand.Read(trace[:]) // It never fails.
	return amqp.Publishing{
		MessageId: id, UserId: orchestrator, DeliveryMode: amqp.Persistent, ContentType: "application/json", Body: sealed.JSON(),
		Headers: amqp.Table{
			topology.HeaderSessionID: sessionID,
			"traceparent":            "00-" + hex.EncodeToString(trace[:16]) + "-" + hex.EncodeToString(trace[16:]) + "-01",
		},
	}
}

// publishTranscripts sends messages of the orchestrator's to the events exchange as final transcripts, one after the other, and waits until the
// broker has confirmed each.
func publishTranscripts(t *testing.T, vhost *testkit.Vhost, messages ...amqp.Publishing) {
	t.Helper()
	conn, err := amqp.Dial(vhost.URL(orchestrator))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // It is confirmed.
	ch, err := conn.Channel()
	require.NoError(t, err)
	require.NoError(t, ch.Confirm(false))
	for _, message := range messages {
		confirmation, err := ch.PublishWithDeferredConfirmWithContext(
			t.Context(), topology.EventsExchange, string(events.TranscriptFinal), true, false, message)
		require.NoError(t, err)
		confirmed, err := confirmation.WaitContext(testkit.Context(t, stack.Patience))
		require.NoError(t, err)
		require.True(t, confirmed)
	}
}

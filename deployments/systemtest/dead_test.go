//go:build integration

package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// orchestrator is the broker user of a producer that is none of the services.
const orchestrator = "orchestrator"

// parkedMessage is what the command tells of one, as JSON.
type parkedMessage struct {
	ID        string     `json:"id"`
	Reason    string     `json:"reason"`
	Type      string     `json:"type"`
	SessionID string     `json:"sessionId"`
	Sender    string     `json:"sender"`
	ParkedAt  *time.Time `json:"parkedAt"`
	Requeues  int        `json:"requeues"`
	Body      string     `json:"body"`
}

// dead runs the service's command as an operator would, with nothing but the broker's address, and gives its exit code and what it wrote.
func dead(t *testing.T, s *stack.Stack, args ...string) (int, string) {
	t.Helper()
	return finish(t, stack.NewProcess("sessions", stack.Binary(t, "sessions"),
		map[string]string{"AMQP_URL": s.Vhost.URL("sessions")}, append([]string{"dead"}, args...)...))
}

// awaitParked waits until the list holds one message that was put back so often, and gives it.
func awaitParked(t *testing.T, s *stack.Stack, requeues int) parkedMessage {
	t.Helper()
	var list struct {
		Items []parkedMessage `json:"items"`
	}
	testkit.Eventually(t, 2*stack.Patience, func(context.Context) error {
		code, said := dead(t, s, "list", "--json")
		if code != 0 {
			return fmt.Errorf("dead list exits with %d: %s", code, said)
		}
		list.Items = nil
		if err := json.Unmarshal([]byte(said), &list); err != nil {
			return fmt.Errorf("reading %s: %w", said, err)
		}
		if len(list.Items) != 1 || list.Items[0].Requeues != requeues {
			return errors.New("the list is " + said)
		}
		return nil
	})
	return list.Items[0]
}

// TestDeadMessages follows a message that nobody can accept: it is parked, listed, shown, put back by an operator, and parked once more.
func TestDeadMessages(t *testing.T) {
	t.Parallel()
	s := stack.New(t)
	session := newSession(t, s).SessionID
	code, said := dead(t, s, "list")
	require.Zero(t, code, said)
	require.NotContains(t, said, session)

	const body = `{"eventType":"transcript.final","nothing":"more"}`
	id := uuid.Must(uuid.NewV7()).String()
	publishTranscript(t, s, amqp.Publishing{
		MessageId: id, UserId: orchestrator, DeliveryMode: amqp.Persistent, ContentType: "application/json",
		Headers: amqp.Table{topology.HeaderSessionID: session}, Body: []byte(body),
	})
	parked := awaitParked(t, s, 0)
	require.Equal(t, id, parked.ID)
	require.NotEmpty(t, parked.Reason)
	require.Equal(t, "transcript.final", parked.Type)
	require.Equal(t, session, parked.SessionID)
	require.Equal(t, orchestrator, parked.Sender)
	require.NotNil(t, parked.ParkedAt)
	code, said = dead(t, s, "list")
	require.Zero(t, code, said)
	require.Contains(t, said, id)

	code, said = dead(t, s, "show", id, "--json")
	require.Zero(t, code, said)
	var shown parkedMessage
	require.NoError(t, json.Unmarshal([]byte(said), &shown), said)
	require.Equal(t, body, shown.Body)
	shown.Body = ""
	require.Equal(t, parked, shown)

	unknown := uuid.Must(uuid.NewV7()).String()
	for _, verb := range []string{"show", "requeue"} {
		code, said = dead(t, s, verb, unknown)
		require.NotZero(t, code)
		require.Contains(t, said, unknown)
	}
	for n, which := range []string{id, "--all"} {
		code, said = dead(t, s, "requeue", which)
		require.Zero(t, code, said)
		require.Contains(t, said, "1 put back")
		again := awaitParked(t, s, n+1)
		require.Equal(t, []string{id, parked.Reason, parked.Type, session, orchestrator},
			[]string{again.ID, again.Reason, again.Type, again.SessionID, again.Sender}, "putting it back changes nothing of it")
		require.True(t, again.ParkedAt.After(*parked.ParkedAt))
	}
	log, err := s.API.As(alice).Log(t.Context(), session)
	require.NoError(t, err)
	requireLines(t, log, "call.created")
}

// publishTranscript sends a message of the orchestrator's to the events exchange as a final transcript, and waits until the broker has confirmed it.
func publishTranscript(t *testing.T, s *stack.Stack, message amqp.Publishing) {
	t.Helper()
	conn, err := amqp.Dial(s.Vhost.URL(orchestrator))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // It is confirmed.
	ch, err := conn.Channel()
	require.NoError(t, err)
	require.NoError(t, ch.Confirm(false))
	confirmation, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), topology.EventsExchange, "transcript.final", true, false, message)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), stack.Patience)
	defer cancel()
	confirmed, err := confirmation.WaitContext(ctx)
	require.NoError(t, err)
	require.True(t, confirmed)
}

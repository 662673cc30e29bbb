//go:build integration

package systemtest

import (
	"context"
	"encoding/json"
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
func dead(t *testing.T, s *stack.Stack, service string, args ...string) (int, string) {
	t.Helper()
	return finish(t, stack.NewProcess(service, stack.Binary(t, service),
		map[string]string{"AMQP_URL": s.Vhost.URL(service)}, append([]string{"dead"}, args...)...))
}

// parked lists what a service has parked.
func parked(t *testing.T, s *stack.Stack, service string) ([]parkedMessage, error) {
	t.Helper()
	code, said := dead(t, s, service, "list", "--json")
	if code != 0 {
		return nil, fmt.Errorf("dead list exits with %d: %s", code, said)
	}
	var list struct {
		Items []parkedMessage `json:"items"`
	}
	if err := json.Unmarshal([]byte(said), &list); err != nil {
		return nil, fmt.Errorf("reading %s: %w", said, err)
	}
	return list.Items, nil
}

// awaitParked waits until the list holds one message that was put back so often, and gives it.
func awaitParked(t *testing.T, s *stack.Stack, requeues int) parkedMessage {
	t.Helper()
	var list []parkedMessage
	testkit.Eventually(t, 2*stack.Patience, func(context.Context) error {
		var err error
		if list, err = parked(t, s, "sessions"); err == nil && (len(list) != 1 || list[0].Requeues != requeues) {
			err = fmt.Errorf("the list is %v", list)
		}
		return err
	})
	return list[0]
}

// TestDeadMessages follows a message that nobody can accept: it is parked, listed, shown, put back by an operator, and parked once more.
func TestDeadMessages(t *testing.T) {
	t.Parallel()
	s := stack.New(t)
	session := newSession(t, s).SessionID
	code, said := dead(t, s, "sessions", "list")
	require.Zero(t, code, said)
	require.NotContains(t, said, session)

	const body = `{"eventType":"transcript.final","nothing":"more"}`
	id := uuid.Must(uuid.NewV7()).String()
	s.Observed.ExpectInvalid(id)
	publishTranscripts(t, s.Vhost, amqp.Publishing{
		MessageId: id, UserId: orchestrator, DeliveryMode: amqp.Persistent, ContentType: "application/json",
		Headers: amqp.Table{topology.HeaderSessionID: session}, Body: []byte(body),
	})
	first := awaitParked(t, s, 0)
	require.Equal(t, id, first.ID)
	require.NotEmpty(t, first.Reason)
	require.Equal(t, "transcript.final", first.Type)
	require.Equal(t, session, first.SessionID)
	require.Equal(t, orchestrator, first.Sender)
	require.NotNil(t, first.ParkedAt)
	code, said = dead(t, s, "sessions", "list")
	require.Zero(t, code, said)
	require.Contains(t, said, id)

	code, said = dead(t, s, "sessions", "show", id, "--json")
	require.Zero(t, code, said)
	var shown parkedMessage
	require.NoError(t, json.Unmarshal([]byte(said), &shown), said)
	require.Equal(t, body, shown.Body)
	shown.Body = ""
	require.Equal(t, first, shown)

	unknown := uuid.Must(uuid.NewV7()).String()
	for _, verb := range []string{"show", "requeue"} {
		code, said = dead(t, s, "sessions", verb, unknown)
		require.NotZero(t, code)
		require.Contains(t, said, unknown)
	}
	for n, which := range []string{id, "--all"} {
		code, said = dead(t, s, "sessions", "requeue", which)
		require.Zero(t, code, said)
		require.Contains(t, said, "1 put back")
		again := awaitParked(t, s, n+1)
		require.Equal(t, []string{id, first.Reason, first.Type, session, orchestrator},
			[]string{again.ID, again.Reason, again.Type, again.SessionID, again.Sender}, "putting it back changes nothing of it")
		require.True(t, again.ParkedAt.After(*first.ParkedAt))
	}
	log, err := s.API.As(alice).Log(t.Context(), session)
	require.NoError(t, err)
	requireLines(t, log, "call.created")
}

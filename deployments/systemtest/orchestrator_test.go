//go:build integration

package systemtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/replay"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	exampleQueue     = stack.ExampleQueue
	exampleConsumer  = "example-orchestrator"
	examplePrincipal = "orchestrator"
	exampleKills     = 6

	talksAtOnce   = 4
	saidInTalk    = 24 // every second time a reminder is asked for
	talkConnected = 4  // webhooks of the recording after which two are in the call
)

// talk is a call in which a reminder is asked for again and again.
type talk struct {
	sessionID string
	webhooks  replay.Recording
	asked     []string // ids of the transcripts that ask for one
}

// TestTheExampleIsKilled runs the example orchestrator on the real services, and kills it at random moments of several calls. In the end each
// reminder that somebody asked for was proposed once and then set once in the session's log, and the checkpoint stands at the last event.
func TestTheExampleIsKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	s := withoutReconciler(t, testkit.Rabbit(t))
	example := s.Example(t, examplePrincipal)
	example.Start(t)
	s.AwaitExampleBound(t)
	talks := make([]*talk, talksAtOnce)
	for i := range talks {
		id := newSession(t, s).SessionID
		talks[i] = &talk{sessionID: id, webhooks: recordingFor(t, s, "clean", id)}
	}
	talking, ctx := errgroup.WithContext(t.Context())
	for _, one := range talks {
		talking.Go(func() error { return one.run(ctx, s) })
	}
	const answers = talksAtOnce * saidInTalk / 2
	for kill := range exampleKills {
		// Anywhere in its part of the calls, before or after an answer's half.
		until := (kill*answers + random.IntN(answers)) / exampleKills
		kind := []events.Type{events.ActionProposed, events.ActionExecuted}[random.IntN(2)]
		testkit.Eventually(t, 2*stack.Patience, func(context.Context) error {
			if n := s.Observed.Count(kind); n < until {
				return fmt.Errorf("%d of %d times %s", n, until, kind)
			}
			return nil
		})
		example.Kill(t)
		example.Start(t)
	}
	require.NoError(t, talking.Wait())
	doubles := 0
	for _, one := range talks {
		doubles += one.check(t, s)
	}
	awaitEmpty(t, s, exampleQueue, topology.DeadQueue(topology.SessionsEvents), topology.DeadQueue(topology.BridgeEvents))
	verified(t, s)
	t.Logf("killed %d times among %d answers, %d events of which were published again", exampleKills, answers, doubles)
}

// run has two people join, talk and leave.
func (k *talk) run(ctx context.Context, s *stack.Stack) error {
	if err := sendAll(ctx, s, k.webhooks[:talkConnected]); err != nil {
		return err
	}
	scribe := s.API.As("scribe", "call:events")
	for n := range saidInTalk {
		id, text := uuid.Must(uuid.NewV7()).String(), "good"
		if n%2 == 0 {
			k.asked, text = append(k.asked, id), fmt.Sprintf("Remind me of number %d.", n)
		}
		if _, err := scribe.PostOnce(ctx, k.sessionID, id, string(events.TranscriptFinal), transcript(text, n+1)); err != nil {
			return err
		}
	}
	return sendAll(ctx, s, k.webhooks[talkConnected:])
}

// sendAll sends webhooks in their order.
func sendAll(ctx context.Context, s *stack.Stack, webhooks replay.Recording) error {
	for i, body := range webhooks {
		answer, err := s.SendWebhook(ctx, body)
		if err != nil {
			return err
		}
		if answer.Status != http.StatusOK {
			return fmt.Errorf("webhook %d is answered %d: %s", i, answer.Status, answer.Body)
		}
	}
	return nil
}

// check waits until everything is answered, and gives how many answers were published again.
func (k *talk) check(t *testing.T, s *stack.Stack) (doubles int) {
	t.Helper()
	var log []callplane.Event
	testkit.Eventually(t, 2*stack.Patience, func(ctx context.Context) error {
		var err error
		if log, err = s.API.As(alice).Log(ctx, k.sessionID); err != nil {
			return err
		}
		return k.followed(ctx, s, log)
	})
	said := map[string]bool{}
	var proposed, executed []string // what caused them
	for _, e := range log {
		switch e.Type {
		case events.TranscriptFinal:
			said[e.EventID] = true
		case events.ActionProposed:
			payload, err := events.DecodePayload[events.ActionProposedPayload](e.Envelope)
			require.NoError(t, err)
			require.True(t, said[*payload.CausedBy], "proposed before it was asked for")
			proposed = append(proposed, *payload.CausedBy)
		case events.ActionExecuted:
			payload, err := events.DecodePayload[events.ActionExecutedPayload](e.Envelope)
			require.NoError(t, err)
			require.Contains(t, proposed, *payload.CausedBy, "executed before it was proposed")
			executed = append(executed, *payload.CausedBy)
		default:
		}
	}
	require.Equal(t, k.asked, proposed)
	require.Equal(t, k.asked, executed)
	require.Len(t, log, len(recorded["clean"].log)+saidInTalk+2*len(k.asked))
	require.Equal(t, "ended", get(t, s, k.sessionID).Status)
	return len(s.Observed.Of(k.sessionID)) - len(log)
}

// followed returns nil once the log has as many answers as were asked for, and the example's checkpoint is at the last event that it follows.
func (k *talk) followed(ctx context.Context, s *stack.Stack, log []callplane.Event) error {
	last, answers := "", 0
	for _, e := range log {
		switch e.Type {
		case events.CallConnected, events.TranscriptFinal:
			last = e.EventID
		case events.ActionProposed, events.ActionExecuted:
			answers++
		default:
		}
	}
	if answers < 2*len(k.asked) {
		return fmt.Errorf("%d of %d answers are logged", answers, 2*len(k.asked))
	}
	kept, err := s.API.As(examplePrincipal, "call:read").Checkpoint(ctx, k.sessionID, exampleConsumer)
	if err == nil && kept != last {
		err = fmt.Errorf("the checkpoint is %s, the last event that is followed %s", kept, last)
	}
	return err
}

// awaitEmpty waits until nothing waits in queues of the stack.
func awaitEmpty(t *testing.T, s *stack.Stack, names ...string) {
	t.Helper()
	conn, err := amqp.Dial(s.Vhost.URL("admin"))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // Nothing is in hand.
	ch, err := conn.Channel()
	require.NoError(t, err)
	for _, name := range names {
		testkit.Eventually(t, stack.Patience, func(context.Context) error {
			queue, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
			require.NoError(t, err)
			if queue.Messages > 0 {
				return fmt.Errorf("%d messages wait in %s", queue.Messages, name)
			}
			return nil
		})
	}
}

//go:build integration

package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// tokenDeadline is how soon a token is refused at the latest when there is nobody to issue it.
const tokenDeadline = 2500 * time.Millisecond

// TestBrokerAway starts the services before the broker, and takes the broker away again in the middle of their work.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnRabbit(t)
	s := stack.Prepare(t, broker)
	broker.Stop(t)
	s.Start(t)
	for _, p := range []*stack.Process{s.Sessions, s.Bridge} {
		awaitDegraded(t, s, p)
	}
	first := newSession(t, s).SessionID
	requireNoToken(t, s, first)

	broker.Start(t)
	s.AwaitReady(t)
	replayed := newSession(t, s).SessionID
	webhooks := recordingFor(t, s, "clean", replayed)
	s.Observed.Await(t, replayed, 1) // Two services tell of it, and whose outbox is emptied first after the outage is nobody's promise.

	broker.Kill(t)
	for _, p := range []*stack.Process{s.Sessions, s.Bridge} {
		awaitDegraded(t, s, p)
	}
	require.Equal(t, "created", get(t, s, first).Status)
	requireNoToken(t, s, first)
	made := newSession(t, s).SessionID
	_, err := s.API.As(alice).Update(t.Context(), made, "", map[string]any{"title": "while the broker is away"})
	require.NoError(t, err)
	end(t, s, made)
	send(t, s, webhooks)

	broker.Start(t)
	s.AwaitReady(t)
	log := s.AwaitLog(t, made, alice, "call.created", "call.updated", "call.updated", "call.ended cancelled")
	checkPublished(t, log, s.Observed.Await(t, made, len(log)))
	log = s.AwaitLog(t, replayed, alice, recorded["clean"].log...)
	requireLines(t, log, recorded["clean"].log...)
	require.Equal(t, "ended", get(t, s, replayed).Status)
	checkPublished(t, log, s.Observed.Await(t, replayed, len(log)))
	_ = s.Token(t, newSession(t, s).SessionID, alice)
}

// awaitDegraded waits until the service says that it goes on without something, and is ready all the same.
func awaitDegraded(t *testing.T, s *stack.Stack, p *stack.Process) {
	t.Helper()
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) error {
		status, degraded, err := s.Readiness(ctx, p)
		if err == nil && (status != http.StatusOK || len(degraded) == 0) {
			err = fmt.Errorf("/readyz is %d, degraded: %v", status, degraded)
		}
		return err
	})
}

// requireNoToken asks for a token that nobody can issue.
func requireNoToken(t *testing.T, s *stack.Stack, sessionID string) {
	t.Helper()
	asked := time.Now()
	_, err := s.API.As(alice).Token(t.Context(), sessionID, callplane.TokenRequest{})
	took := time.Since(asked)
	problem := requireProblem(t, err, http.StatusServiceUnavailable, "provider_unavailable")
	require.True(t, problem.Retryable)
	require.NotEmpty(t, problem.RetryAfter)
	require.Less(t, took, tokenDeadline)
}

//go:build integration

package systemtest

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	alice = "alice"
	bob   = "bob"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// newSession creates a session of alice's with bob as a participant.
func newSession(t *testing.T, s *stack.Stack) callplane.Session {
	t.Helper()
	session, err := s.API.As(alice).Create(t.Context(), callplane.NewSession{
		Title: t.Name(), Kind: "audio", Members: []callplane.Member{{UserID: bob, Role: "participant"}},
	})
	require.NoError(t, err)
	require.Equal(t, "created", session.Status)
	return session
}

// get reads the session as alice.
func get(t *testing.T, s *stack.Stack, sessionID string) callplane.Session {
	t.Helper()
	session, err := s.API.As(alice).Get(t.Context(), sessionID)
	require.NoError(t, err)
	return session
}

// end ends the session as alice.
func end(t *testing.T, s *stack.Stack, sessionID string) callplane.Session {
	t.Helper()
	session, err := s.API.As(alice).Update(t.Context(), sessionID, "", map[string]any{"status": "ended"})
	require.NoError(t, err)
	return session
}

// requireProblem holds an error against the code of the problem that it must be.
func requireProblem(t *testing.T, err error, status int, code string) *callplane.Problem {
	t.Helper()
	var problem *callplane.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, status, problem.Status, problem.Error())
	require.Equal(t, code, problem.Code, problem.Error())
	require.NotEmpty(t, problem.RequestID)
	return problem
}

// requireLines holds a log against the lines that it must be, in this order.
func requireLines(t *testing.T, log []callplane.Event, want ...string) {
	t.Helper()
	lines, err := stack.Lines(log)
	require.NoError(t, err)
	require.Equal(t, want, lines)
}

// raw gives the bytes of a log's events.
func raw(log []callplane.Event) []json.RawMessage {
	all := make([]json.RawMessage, len(log))
	for i, e := range log {
		all[i] = e.Raw
	}
	return all
}

// address is a port of loopback, as HTTP_ADDR takes it.
func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

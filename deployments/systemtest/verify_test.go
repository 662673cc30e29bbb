//go:build integration

package systemtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// verified has the command compare every session with its log, beside the service or without it.
func verified(t *testing.T, s *stack.Stack) {
	t.Helper()
	code, said := finish(t, s.Sessions.With(nil, "verify"))
	require.Zero(t, code, said)
	require.Contains(t, said, " 0 differ from their logs")
	require.NotContains(t, said, "\n0 sessions", "there was nothing to verify")
}

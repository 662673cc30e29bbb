//go:build integration

package systemtest

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// demoPatience is more than the demo gives itself.
const demoPatience = 90 * time.Second

// demoOn describes the demo with the settings of a stack, as `make demo` has them in .env.
func demoOn(t *testing.T, s *stack.Stack, settings map[string]string) *stack.Process {
	t.Helper()
	env := map[string]string{
		"SESSIONS_PORT": port(t, s.API.Base()), "LIVEKIT_PORT": port(t, s.LiveKit.URL), "RABBITMQ_MANAGEMENT_PORT": "15672",
		"LIVEKIT_API_KEY": s.LiveKit.APIKey, "LIVEKIT_API_SECRET": s.LiveKit.APISecret,
	}
	for name, value := range settings {
		env[name] = value
	}
	p := stack.NewProcess(stack.Demo, stack.Binary(t, stack.Demo), env)
	t.Cleanup(p.End)
	p.Start(t)
	return p
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Port()
}

// demo runs the demo's call, which checks it by itself.
func demo(t *testing.T, s *stack.Stack) {
	p := demoOn(t, s, nil)
	code := p.Wait(t, demoPatience)
	said := p.Log()
	require.Zero(t, code, said)
	require.NotContains(t, said, "DATA RACE")
	require.NotContains(t, said, "\x1b", "colours are for terminals")
	for _, part := range []string{"alice joins", "call.connected", "bob hears alice", "bob leaves", "call.disconnected", "/openapi.json", "X-User-Id: alice"} {
		require.Contains(t, said, part)
	}
	for _, kind := range []string{"call.connecting", "call.connected", "call.updated", "call.ended", "call.disconnected"} {
		require.Equal(t, 1, strings.Count(said, "  "+kind+" "), kind)
	}
}

// demoWithoutStack has to fail, and to say where to look.
func demoWithoutStack(t *testing.T, s *stack.Stack) {
	p := demoOn(t, s, map[string]string{"SESSIONS_PORT": strconv.Itoa(testkit.FreePort(t))})
	require.Equal(t, 1, p.Wait(t, demoPatience), p.Log())
	require.Contains(t, p.Log(), "The demo FAILED")
	require.Contains(t, p.Log(), "make logs")
}

//go:build integration

package systemtest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	spokenEvents = 200
	spokenEvery  = 100 * time.Millisecond
	followFor    = "240" // seconds, on a machine that has much else to do
)

// streamsThatAreCut has two clients follow a call in which somebody speaks all the time, over a network that cuts them off again and
// again, in the middle of an event as likely as not: EventSource as browsers have it, and the client of contracts/typescript. What each
// saw is the log.
func streamsThatAreCut(t *testing.T, s *stack.Stack) {
	node := filepath.Join(testkit.Root(), "scripts", "typescript")
	output, err := exec.CommandContext(t.Context(), node, "install").CombinedOutput()
	require.NoError(t, err, string(output))
	id := newSession(t, s).SessionID
	service := strings.TrimPrefix(s.API.Base(), "http://")
	cutters := []*stack.Cutter{stack.NewCutter(t, service, 100, 2500), stack.NewCutter(t, service, 10, 10_000)}
	var seen [2]string
	var running sync.WaitGroup
	t.Cleanup(running.Wait) // where speaking fails
	running.Go(func() {
		seen[0] = follow(t, node, "eventsource.ts", cutters[0], id, "--header", "X-User-Id: "+bob, "--retry", "10", "--until", "call.ended")
	})
	running.Go(func() {
		seen[1] = follow(t, node, "follow.ts", cutters[1], id, "--header", "X-User-Id: "+alice, "--until", "call.ended")
	})
	speak(t, s, id)
	end(t, s, id)
	running.Wait()

	log, err := s.API.As(alice).Log(t.Context(), id)
	require.NoError(t, err)
	var ids []string
	for _, event := range log {
		ids = append(ids, event.EventID)
	}
	require.Greater(t, len(ids), spokenEvents)
	require.Equal(t, ids, strings.Fields(seen[0]), "what EventSource saw")
	require.Equal(t, ids, followed(t, seen[1]), "what follow.ts saw")
	require.Equal(t, 100, cutters[0].Made())
	require.Equal(t, 10, cutters[1].Made())
}

// follow runs a program of contracts/typescript on the session's stream, and gives what it printed.
func follow(t *testing.T, node, program string, by *stack.Cutter, sessionID string, args ...string) string {
	path := filepath.Join(testkit.Root(), "contracts", "typescript", "test", program)
	args = append([]string{"node", path, by.URL() + "/v1/call/sessions/" + sessionID + "/events", "--seconds", followFor}, args...)
	cmd := exec.CommandContext(t.Context(), node, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v: %s", program, err, said.String())
	}
	t.Logf("%s was cut off %d times: %s", program, by.Made(), strings.TrimSpace(said.String()))
	return out.String()
}

// followed gives the ids of the events that follow.ts printed.
func followed(t *testing.T, printed string) []string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(printed) {
		var received struct {
			ID    string
			Event *struct{ EventID string }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &received))
		if received.Event == nil {
			continue // what they came to
		}
		require.Equal(t, received.Event.EventID, received.ID)
		ids = append(ids, received.ID)
	}
	return ids
}

// speak posts what is being said, steadily.
func speak(t *testing.T, s *stack.Stack, sessionID string) {
	t.Helper()
	scribe := s.API.As("scribe", "call:events")
	pace := time.NewTicker(spokenEvery)
	defer pace.Stop()
	began := time.Now()
	for n := range spokenEvents {
		_, err := scribe.Post(t.Context(), sessionID, "transcript.partial", map[string]any{
			"segmentId": "asr-1/1", "sequence": 1, "revision": n + 1, "speaker": nil, "trackSid": nil, "language": "de-CH",
			"text": strings.Repeat("ja ", 1+n%40), "startedAt": began.UTC(), "endedAt": time.Now().UTC(), "confidence": nil,
		})
		require.NoError(t, err)
		<-pace.C
	}
}

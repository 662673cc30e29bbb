//go:build integration

package systemtest

import (
	"bytes"
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

// streamsThatAreCut has clients follow a call in which somebody speaks all the time, over a network that cuts them off again and again, in
// the middle of an event as likely as not: EventSource as browsers have it, and the client of contracts/typescript, over the user's stream
// and over one of the session's own. What each saw is the log.
func streamsThatAreCut(t *testing.T, s *stack.Stack) {
	node := typescript(t)
	id := newSession(t, s).SessionID
	service := strings.TrimPrefix(s.API.Base(), "http://")
	cutters := []*stack.Cutter{
		stack.NewCutter(t, service, 100, 2500), stack.NewCutter(t, service, 10, 10_000), stack.NewCutter(t, service, 30, 20_000),
	}
	var seen [3]string
	var running sync.WaitGroup
	t.Cleanup(running.Wait) // where speaking fails
	stream := cutters[0].URL() + "/v1/call/sessions/" + id + "/events"
	for n, program := range [][]string{
		{"eventsource.ts", stream, "--header", "X-User-Id: " + bob, "--retry", "10"},
		{"follow.ts", cutters[1].URL(), id, "--header", "X-User-Id: " + alice, "--own"},
		{"follow.ts", cutters[2].URL(), id, "--header", "X-User-Id: " + bob},
	} {
		running.Go(func() { seen[n] = follow(t, node, cutters[n], program...) })
	}
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
	for n, client := range []string{"EventSource", "the client with a stream of the session's own", "the client with the user's stream"} {
		require.Equal(t, ids, strings.Fields(seen[n]), "what %s saw", client)
	}
	require.Equal(t, 100, cutters[0].Made())
	require.Equal(t, 10, cutters[1].Made())
	require.Greater(t, cutters[2].Made(), 10)
}

// installed is what scripts/typescript install said and how it ended. It is run once, since two at once would be in each other's way.
var installed = sync.OnceValues(func() ([]byte, error) {
	return exec.Command(typescriptPath(), "install").CombinedOutput()
})

func typescriptPath() string { return filepath.Join(testkit.Root(), "scripts", "typescript") }

// typescript is the path of the script that runs the pinned Node, when all is installed that its programs need.
func typescript(t *testing.T) string {
	t.Helper()
	output, err := installed()
	require.NoError(t, err, string(output))
	return typescriptPath()
}

// follow runs a program of contracts/typescript until the session is over, and gives what it printed: the ids of the events.
func follow(t *testing.T, node string, by *stack.Cutter, program ...string) string {
	path := filepath.Join(testkit.Root(), "contracts", "typescript", "test", program[0])
	args := append([]string{"node", path}, append(program[1:], "--seconds", followFor, "--until", "call.ended")...)
	cmd := exec.CommandContext(t.Context(), node, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v: %s", program[0], err, said.String())
	}
	t.Logf("%s was cut off %d times: %s", program[0], by.Made(), strings.TrimSpace(said.String()))
	return out.String()
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

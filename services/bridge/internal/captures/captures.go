// Package captures gives tests what a real LiveKit server sent: recorded webhooks with the room's
// secret taken out, told about any room and users.
package captures

import (
	"bufio"
	"embed"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FakeTurnPassword stands in the recorded bodies where the server put a secret. It must never be
// found in a log or a database.
const FakeTurnPassword = "not-a-real-turn-password"

//go:embed testdata/*.jsonl
var files embed.FS

// Names lists the captures.
func Names(t testing.TB) []string {
	t.Helper()
	entries, err := files.ReadDir("testdata")
	require.NoError(t, err)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".jsonl"))
	}
	return names
}

var identity = regexp.MustCompile(`("identity":\s*")(\w+)(")`)

// Bodies returns the bodies of a capture in the order in which they came, repeats included, as if they
// were about room, with each identity followed by suffix.
func Bodies(t testing.TB, name, room, suffix string) [][]byte {
	t.Helper()
	file, err := files.Open("testdata/" + name + ".jsonl")
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // Embedded.
	var bodies [][]byte
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var request struct {
			Body string `json:"body"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &request))
		body := strings.ReplaceAll(request.Body, `"room-`+name+`"`, `"`+room+`"`)
		require.Contains(t, body, room)
		bodies = append(bodies, []byte(identity.ReplaceAllString(body, "${1}${2}"+suffix+"${3}")))
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, bodies)
	return bodies
}

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
	"time"

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

// Request is a webhook that came.
type Request struct {
	At   time.Time
	Body []byte
}

// Bodies returns the bodies of a capture in the order in which they came, repeats included, as if they
// were about room, with each identity followed by suffix.
func Bodies(t testing.TB, name, room, suffix string) [][]byte {
	t.Helper()
	var bodies [][]byte
	for _, r := range Requests(t, name, room, suffix) {
		bodies = append(bodies, r.Body)
	}
	return bodies
}

// Requests returns what Bodies does, with the times at which it came; none of a recording in which nothing came.
func Requests(t testing.TB, name, room, suffix string) []Request {
	t.Helper()
	file, err := files.Open("testdata/" + name + ".jsonl")
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // Embedded.
	var requests []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var request struct {
			At   time.Time `json:"at"`
			Body string    `json:"body"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &request))
		body := strings.ReplaceAll(request.Body, `"room-`+name+`"`, `"`+room+`"`)
		require.Contains(t, body, room)
		requests = append(requests, Request{At: request.At, Body: []byte(identity.ReplaceAllString(body, "${1}${2}"+suffix+"${3}"))})
	}
	require.NoError(t, lines.Err())
	return requests
}

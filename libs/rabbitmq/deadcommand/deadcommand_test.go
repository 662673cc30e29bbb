package deadcommand

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/rabbitmq"
)

func TestCommandLines(t *testing.T) {
	for line, want := range map[string]request{
		"list":                  {verb: "list", limit: 50},
		"list --limit 7 --json": {verb: "list", limit: 7, json: true},
		"show a":                {verb: "show", ids: []string{"a"}},
		"show a --json":         {verb: "show", ids: []string{"a"}, json: true},
		"show --json a":         {verb: "show", ids: []string{"a"}, json: true},
		"requeue a b":           {verb: "requeue", ids: []string{"a", "b"}},
		"requeue --all":         {verb: "requeue", all: true},
	} {
		got, err := parse(strings.Fields(line))
		require.NoError(t, err, line)
		assert.Equal(t, want, got, line)
	}
	for _, line := range []string{
		"", "eat", "list a", "list --limit 0", "list --limit 1001", "list --limit x", "list --all", "show", "show a b", "requeue", "requeue a --all", "requeue --json a",
	} {
		_, err := parse(strings.Fields(line))
		assert.Error(t, err, line)
	}
}

var service = Service{Exchange: "sessions.call-events", User: "sessions"}

func TestSettingsAreCheckedFirst(t *testing.T) {
	var out strings.Builder
	err := Run(t.Context(), service, []string{"list"}, nil, &out)
	require.ErrorContains(t, err, "AMQP_URL")
	err = Run(t.Context(), service, []string{"requeue", "--all"}, []string{"AMQP_URL=amqp://admin:hidden@127.0.0.1:1"}, &out)
	require.ErrorContains(t, err, `only "sessions" itself`)
	require.NotContains(t, err.Error(), "hidden")
	err = Run(t.Context(), service, []string{"list"}, []string{"AMQP_URL=amqp://sessions:hidden@127.0.0.1:1"}, &out)
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.NotContains(t, err.Error(), "hidden")
	require.Empty(t, out.String())
}

func message() rabbitmq.ParkedMessage {
	return rabbitmq.ParkedMessage{
		ID: "an-id", Reason: "schema", Detail: "payload: \x1b[31mbad", Type: "call.created", Session: "s", Sender: "bridge", Queue: "q.1",
		ParkedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Requeues: 2,
		Headers: map[string]any{"x-reason": "schema", "n": int64(1)}, Body: []byte(`{"a":"ä"}`),
	}
}

func TestAListIsReadByPeopleAndPrograms(t *testing.T) {
	var out strings.Builder
	require.NoError(t, writeTable(&out, []rabbitmq.ParkedMessage{message(), {ID: "other"}}, 3))
	lines := strings.Split(out.String(), "\n")
	assert.Equal(t, []string{"an-id", "schema", "call.created", "s", "2026-01-02T03:04:05Z", "bridge", "2"}, strings.Fields(lines[1]))
	assert.Equal(t, []string{"other", "-", "-", "-", "-", "-", "0"}, strings.Fields(lines[2]))
	assert.Equal(t, "and 3 more", lines[3])

	out.Reset()
	require.NoError(t, writeTable(&out, nil, 0))
	assert.Equal(t, "nothing is parked\n", out.String())

	out.Reset()
	require.NoError(t, writeJSON(&out, listOf([]rabbitmq.ParkedMessage{message(), {ID: "other"}}, 3)))
	var got struct {
		Items []map[string]any `json:"items"`
		More  int              `json:"more"`
	}
	require.NoError(t, json.Unmarshal([]byte(out.String()), &got))
	assert.Equal(t, 3, got.More)
	assert.Equal(t, "2026-01-02T03:04:05Z", got.Items[0]["parkedAt"])
	assert.Nil(t, got.Items[1]["parkedAt"])
}

func TestAMessageIsShownWhole(t *testing.T) {
	var out strings.Builder
	require.NoError(t, writeWhole(&out, message()))
	assert.Contains(t, out.String(), "  n: 1\n  x-reason: schema\nbody, 10 bytes\n{\"a\":\"ä\"}\n")
	assert.NotContains(t, out.String(), "\x1b", "a message gives the terminal no orders")

	m := message()
	require.NoError(t, json.Unmarshal(encode(t, wholeOf(m)), new(map[string]any)))
	assert.Contains(t, string(encode(t, wholeOf(m))), `"body":"{\"a\":\"ä\"}"`)
	m.Body = []byte{0xff, 0xfe}
	assert.Contains(t, string(encode(t, wholeOf(m))), `"bodyBase64":"//4="`)
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}

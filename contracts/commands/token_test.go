package commands_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
)

func example(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("examples", name+".json"))
	require.NoError(t, err)
	return text
}

// with returns the example with the value at a dotted path replaced, or removed where it is nil.
func with(t *testing.T, text []byte, path string, value any) []byte {
	t.Helper()
	var document map[string]any
	require.NoError(t, json.Unmarshal(text, &document))
	parent := document
	tokens := strings.Split(path, ".")
	for _, token := range tokens[:len(tokens)-1] {
		parent = parent[token].(map[string]any)
	}
	last := tokens[len(tokens)-1]
	if parent[last] = value; value == nil {
		delete(parent, last)
	}
	changed, err := json.Marshal(document)
	require.NoError(t, err)
	return changed
}

func TestRequestExamples(t *testing.T) {
	for _, name := range []string{"token.issue.request", "token.issue.request-bare"} {
		text := example(t, name)
		request, err := commands.DecodeTokenIssue(text)
		require.NoError(t, err, name)
		encoded, err := commands.EncodeTokenIssue(request)
		require.NoError(t, err, name)
		assert.JSONEq(t, string(text), string(encoded))
	}
}

func TestReplyExamples(t *testing.T) {
	for _, name := range []string{"token.issue.reply", "token.issue.reply-refused"} {
		text := example(t, name)
		reply, err := commands.DecodeTokenReply(text)
		require.NoError(t, err, name)
		encoded, err := commands.EncodeTokenReply(reply)
		require.NoError(t, err, name)
		assert.JSONEq(t, string(text), string(encoded))
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	valid := example(t, "token.issue.request")
	for path, values := range map[string][]any{
		"commandId":      {nil, "", 7, "ABCDEF00-6000-7a10-8c3d-000000000001"},
		"sessionId":      {nil, "x"},
		"sessionVersion": {nil, 0, 1.5, "1"},
		"userId":         {nil, "", "a b", strings.Repeat("a", 129)},
		"role":           {nil, "admin"},
		"deviceId":       {nil, "", "a#b", strings.Repeat("a", 65)},
		"displayName":    {nil, "", strings.Repeat("a", 129)},
		"ttlSeconds":     {nil, 29, 3601, "600", 30.5},
		"kind":           {nil, "text"},
		"issuedAt":       {nil, "2026-11-23T08:36:31+01:00", "2026-02-30T08:36:31Z"},
	} {
		for _, value := range values {
			_, err := commands.DecodeTokenIssue(with(t, valid, path, value))
			var invalid *commands.InvalidError
			assert.ErrorAs(t, err, &invalid, "%s: %v", path, value)
		}
	}
}

func TestRepliesThatAreRefused(t *testing.T) {
	token, refusal := example(t, "token.issue.reply"), example(t, "token.issue.reply-refused")
	for name, text := range map[string][]byte{
		"no id":                   with(t, token, "commandId", nil),
		"no ok":                   with(t, token, "ok", nil),
		"ok without a result":     with(t, token, "result", nil),
		"a result and not ok":     with(t, token, "ok", false),
		"a result and an error":   with(t, token, "error", map[string]any{"code": "internal", "message": "", "retryable": true}),
		"refused without a why":   with(t, refusal, "error", nil),
		"refused and ok":          with(t, refusal, "ok", true),
		"no token":                with(t, token, "result.token", nil),
		"an empty token":          with(t, token, "result.token", ""),
		"a URL of another scheme": with(t, token, "result.url", "https://livekit.example.com"),
		"no room":                 with(t, token, "result.roomName", nil),
		"no identity":             with(t, token, "result.identity", nil),
		"no provider":             with(t, token, "result.provider", nil),
		"no expiry":               with(t, token, "result.expiresAt", nil),
		"an unknown code":         with(t, refusal, "error.code", "whatever"),
		"no message":              with(t, refusal, "error.message", nil),
		"no retryable":            with(t, refusal, "error.retryable", nil),
		"no JSON":                 []byte("oops"),
		"not one object":          []byte("[]"),
		"a name twice":            []byte(`{"ok":true,"ok":false}`),
		"too large":               bytes.Repeat([]byte(" "), commands.MaxSize+1),
	} {
		_, err := commands.DecodeTokenReply(text)
		var invalid *commands.InvalidError
		assert.ErrorAs(t, err, &invalid, name)
	}
}

func TestReadersLetNewFieldsPassAndWritersHaveNone(t *testing.T) {
	_, err := commands.DecodeTokenIssue(with(t, example(t, "token.issue.request"), "locale", "de"))
	require.NoError(t, err)
	_, err = commands.DecodeTokenReply(with(t, example(t, "token.issue.reply"), "result.region", "eu"))
	require.NoError(t, err)
	_, err = commands.DecodeTokenReply(with(t, example(t, "token.issue.reply-refused"), "error.hint", "x"))
	require.NoError(t, err)

	_, err = commands.DecodeTokenIssue(with(t, example(t, "token.issue.request"), "Role", "host"))
	assert.Error(t, err, "a field that Go would take for a known one")

	request, err := commands.DecodeTokenIssue(example(t, "token.issue.request"))
	require.NoError(t, err)
	request.TTLSeconds = 5
	_, err = commands.EncodeTokenIssue(request)
	assert.EqualError(t, err, "invalid token.issue request: /ttlSeconds breaks the rule minimum")
}

func TestValue(t *testing.T) {
	issued, err := commands.Succeed("c", commands.TokenIssued{RoomName: "r"}).Value()
	require.NoError(t, err)
	assert.Equal(t, "r", issued.RoomName)

	_, err = commands.Refuse[commands.TokenIssued]("c", commands.Failure{Code: commands.DeviceLimit, Message: "five"}).Value()
	var failure *commands.Failure
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, commands.DeviceLimit, failure.Code)
	assert.EqualError(t, err, "command refused (device_limit): five")

	_, err = commands.Reply[commands.TokenIssued]{}.Value()
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, commands.Internal, failure.Code)
}

func TestLongFailuresAreCut(t *testing.T) {
	failure := commands.Failure{Code: commands.Internal, Message: strings.Repeat("ü", 5000) + "\x00"}
	encoded, err := commands.EncodeTokenReply(commands.Refuse[commands.TokenIssued]("019ab1c2-6000-7a10-8c3d-000000000001", failure))
	require.NoError(t, err)
	reply, err := commands.DecodeTokenReply(encoded)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("ü", commands.MaxMessage), reply.Failure.Message)
	assert.Len(t, failure.Message, 10001, "the caller's is left as it was")
}

// TestTheTokenShowsNowhere prints a reply in every way that a careless line could.
func TestTheTokenShowsNowhere(t *testing.T) {
	const secret = "eyJ.super.secret"
	issued := commands.TokenIssued{
		Provider: "livekit", URL: "wss://x", Token: commands.NewJoinToken(secret), RoomName: "r", Identity: "i",
		ExpiresAt: events.At(time.Unix(0, 0)),
	}
	reply := commands.Succeed("c", issued)
	encoded, err := json.Marshal(reply)
	require.NoError(t, err)
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("reply", "reply", reply, "issued", issued, "pointer", &issued, "token", issued.Token)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, issued, &reply, issued.Token)
	}
	fmt.Fprintln(&out, issued.Token, issued, fmt.Errorf("with %v", issued))
	out.Write(encoded)
	assert.NotContains(t, out.String(), secret)
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", secret))
	assert.Contains(t, out.String(), "[redacted]")
	assert.Equal(t, secret, issued.Token.Reveal())
}

func TestSchemasOfEveryCommand(t *testing.T) {
	for _, name := range commands.Names() {
		assert.True(t, json.Valid(commands.Schema(name+".request")), name)
		assert.True(t, json.Valid(commands.Schema(name+".reply")), name)
	}
	assert.Nil(t, commands.Schema("token.revoke.request"))
}

// TestEveryCommandHasAWay: the topology leads each command to the queue, and nothing else.
func TestEveryCommandHasAWay(t *testing.T) {
	assert.ElementsMatch(t, commands.Names(), topology.CommandKeys())
}

func BenchmarkTokenReply(b *testing.B) {
	reply := commands.Succeed("019ab1c2-6000-7a10-8c3d-000000000001", commands.TokenIssued{
		Provider: "livekit", URL: "wss://x", Token: commands.NewJoinToken(strings.Repeat("x", 700)), RoomName: "r", Identity: "i",
		ExpiresAt: events.At(time.Unix(0, 0)),
	})
	for b.Loop() {
		encoded, err := commands.EncodeTokenReply(reply)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := commands.DecodeTokenReply(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

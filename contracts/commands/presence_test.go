package commands_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
)

func TestPresenceExamples(t *testing.T) {
	text := example(t, "call.presence.request")
	request, err := commands.DecodeCallPresence(text)
	require.NoError(t, err)
	encoded, err := commands.EncodeCallPresence(request)
	require.NoError(t, err)
	assert.JSONEq(t, string(text), string(encoded))
	for _, name := range []string{"call.presence.reply", "call.presence.reply-refused"} {
		text := example(t, name)
		reply, err := commands.DecodePresenceReply(text)
		require.NoError(t, err, name)
		encoded, err := commands.EncodePresenceReply(reply)
		require.NoError(t, err, name)
		assert.JSONEq(t, string(text), string(encoded))
	}
}

func TestPresenceMessagesThatAreRefused(t *testing.T) {
	var invalid *commands.InvalidError
	for path, values := range map[string][]any{
		"commandId":      {nil, "", 7, "ABCDEF00-6000-7a10-8c3d-000000000001"},
		"sessionId":      {nil, "x"},
		"sessionVersion": {nil, 0, 1.5, "1"},
	} {
		for _, value := range values {
			_, err := commands.DecodeCallPresence(with(t, example(t, "call.presence.request"), path, value))
			assert.ErrorAs(t, err, &invalid, "%s: %v", path, value)
		}
	}
	shown, refusal := example(t, "call.presence.reply"), example(t, "call.presence.reply-refused")
	for name, text := range map[string][]byte{
		"no id":                 with(t, shown, "commandId", nil),
		"ok without a result":   with(t, shown, "result", nil),
		"a result and not ok":   with(t, shown, "ok", false),
		"connected is not said": with(t, shown, "result.connected", nil),
		"activated is not said": with(t, shown, "result.activated", nil),
		"connected is a word":   with(t, shown, "result.connected", "no"),
		"refused without a why": with(t, refusal, "error", nil),
		"an unknown code":       with(t, refusal, "error.code", "whatever"),
		"no JSON":               []byte("oops"),
	} {
		_, err := commands.DecodePresenceReply(text)
		assert.ErrorAs(t, err, &invalid, name)
	}
}

func TestPresenceReadersLetNewFieldsPass(t *testing.T) {
	_, err := commands.DecodeCallPresence(with(t, example(t, "call.presence.request"), "why", "timer"))
	require.NoError(t, err)
	reply, err := commands.DecodePresenceReply(with(t, with(t, example(t, "call.presence.reply"), "result.since", "today"), "result.connected", true))
	require.NoError(t, err)
	shown, err := reply.Value()
	require.NoError(t, err)
	assert.Equal(t, commands.CallPresenceShown{Connected: true}, shown)
}

func TestALongPresenceFailureIsCut(t *testing.T) {
	failure := commands.Failure{Code: commands.Unavailable, Message: strings.Repeat("ü", 5000)}
	encoded, err := commands.EncodePresenceReply(commands.Refuse[commands.CallPresenceShown]("019ab1c2-6000-7a10-8c3d-000000000001", failure))
	require.NoError(t, err)
	reply, err := commands.DecodePresenceReply(encoded)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("ü", commands.MaxMessage), reply.Failure.Message)
}

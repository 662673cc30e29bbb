package captures_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/captures"
)

var turnPassword = regexp.MustCompile(`turnPassword":\s*"([^"]*)"`)

func TestEverySituationIsRecorded(t *testing.T) {
	require.Equal(t, []string{
		"badtoken", "clean", "delete", "dup", "empty", "fail500", "full", "kill", "rejoin", "remove", "serverterm", "simulate", "stop3",
	}, captures.Names(t))
	for _, name := range captures.Names(t) {
		require.Equal(t, name == "badtoken", len(captures.Bodies(t, name, "call-x", "#default")) == 0, "%s: only a refused client is no webhook", name)
	}
}

func TestCapturesHoldNoSecret(t *testing.T) {
	found := 0
	for _, name := range captures.Names(t) {
		for _, body := range captures.Bodies(t, name, "call-x", "#default") {
			for _, match := range turnPassword.FindAllSubmatch(body, -1) {
				require.Equal(t, captures.FakeTurnPassword, string(match[1]), name)
				found++
			}
			require.Equal(t, strings.Count(string(body), `"identity"`), strings.Count(string(body), "#default"))
		}
	}
	require.Positive(t, found)
}

//go:build integration

package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// leftOut is what can be left out of the services, and the SQL that goes with it in the sessions' database. Each has a patch of the same name
// in sabotage.
var leftOut = map[string]string{
	// The inbox is the log's key and the look into it; without the key alone the look is enough, under the session's lock.
	"unique-key":       "ALTER TABLE events DROP CONSTRAINT events_once",
	"outbox":           "",
	"fence":            "",
	"listing":          "",
	"inferred-is-told": "",
}

// binaryWithout gives the path of a service's binary without something; "" where nothing is left out.
func binaryWithout(t *testing.T, service, sabotage string) string {
	t.Helper()
	if sabotage == "" {
		return ""
	}
	require.Contains(t, leftOut, sabotage, "it can't be left out")
	return stack.BinaryWith(t, service, patched(t, sabotage))
}

// patched applies a patch to copies of the files that it names, and gives the copies by the files.
func patched(t *testing.T, sabotage string) map[string]string {
	t.Helper()
	patch, err := filepath.Abs(filepath.Join("sabotage", sabotage+".patch"))
	require.NoError(t, err)
	text, err := os.ReadFile(patch)
	require.NoError(t, err)
	dir, replaced := t.TempDir(), map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, changes := strings.CutPrefix(strings.TrimSpace(line), "+++ b/")
		if !changes {
			continue
		}
		original := filepath.Join(testkit.Root(), name)
		source, err := os.ReadFile(original)
		require.NoError(t, err)
		copied := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(copied), 0o750))
		require.NoError(t, os.WriteFile(copied, source, 0o600))
		replaced[original] = copied
	}
	require.NotEmpty(t, replaced, "%s changes nothing", patch)
	apply := exec.CommandContext(t.Context(), "git", "apply", patch)
	apply.Dir = dir
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir)) // It is no part of any repository.
	output, err := apply.CombinedOutput()
	require.NoError(t, err, "%s does not fit any more: %s", patch, output)
	for original, copied := range replaced {
		before, err := os.ReadFile(original)
		require.NoError(t, err)
		after, err := os.ReadFile(copied)
		require.NoError(t, err)
		require.NotEqual(t, string(before), string(after), "%s was not changed", original)
	}
	return replaced
}

// afterStart does what a sabotage does to the database.
func (w *world) afterStart(t *testing.T, sabotage string) {
	t.Helper()
	if sql := leftOut[sabotage]; sql != "" {
		_, err := testkit.Texts(t.Context(), w.SessionsDB.AdminURL, sql)
		require.NoError(t, err)
	}
}

// TestSabotagesFit: each patch fits the sources as they are.
func TestSabotagesFit(t *testing.T) {
	t.Parallel()
	for _, name := range sabotages() {
		patched(t, name)
	}
}

package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
)

// TestSessionsTakesWhatTheBridgeMakesOfAnySchedule has the bridge's simulation write what it
// emitted in hundreds of schedules, and the sessions service take it. Neither may import the other.
func TestSessionsTakesWhatTheBridgeMakesOfAnySchedule(t *testing.T) {
	const checks = "300"
	dir := t.TempDir()
	goTest(t, dir, "services/bridge", "./internal/simulation", "-run=^TestEverySchedule$", "-rapid.checks="+checks, "-rapid.nofailfile")
	journals, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, journals)
	said := goTest(t, dir, "services/sessions", "./internal/domain", "-run=^TestEveryScheduleOfTheBridgeIsTaken$", "-v")
	require.Contains(t, said, "--- PASS: TestEveryScheduleOfTheBridgeIsTaken", "it is not skipped")
}

// goTest runs tests of a module alone, as its image is built, and returns what they print.
func goTest(t *testing.T, schedules, module, pkg string, flags ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"test", "-count=1", pkg}, flags...)...)
	command.Dir = filepath.Join(testkit.Root(), module)
	command.Env = append(os.Environ(), "GOWORK=off", "CALLPLANE_SCHEDULES="+schedules)
	said, err := command.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return string(said)
}

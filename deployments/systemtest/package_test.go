//go:build integration

package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// theirProject is what somebody begins with who has nothing yet.
const theirProject = `{
  "compilerOptions": {
    "target": "es2022", "lib": ["es2022", "dom", "dom.iterable", "dom.asynciterable"], "module": "nodenext", "types": [],
    "strict": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true
  },
  "files": ["main.ts"]
}`

// thePackage has the TypeScript client packed, installed in an empty project, and the README's lines of it checked strictly and run; only the
// port is this stack's.
func thePackage(t *testing.T, s *stack.Stack) {
	node := typescript(t)
	project := t.TempDir()
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(testkit.Context(t, 3*stack.Patience), name, args...)
		cmd.Dir = project
		output, err := cmd.Output()
		require.NoError(t, err, "%s %v: %s", name, args, output)
		return string(output)
	}
	packed := strings.TrimSpace(run(node, "pack", project))
	lines := regexp.MustCompile("(?s)```ts\n(import.*?)```").FindStringSubmatch(read(t, "README.md"))
	require.Len(t, lines, 2, "the README has no block of TypeScript that begins with import")
	require.Contains(t, lines[1], "http://127.0.0.1:8080")
	for name, text := range map[string]string{
		"package.json":  `{"private": true, "type": "module"}`,
		"tsconfig.json": theirProject,
		"main.ts":       strings.ReplaceAll(lines[1], "http://127.0.0.1:8080", s.API.Base()),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(project, name), []byte(text), 0o600))
	}
	run("npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel", "error", packed)
	run(node, "node", filepath.Join(testkit.Root(), "contracts", "typescript", "node_modules", "typescript", "bin", "tsc"), "--project", project)
	printed := run(node, "node", filepath.Join(project, "main.js"))
	require.Regexp(t, `(?s)^wss?://\S+ \d+\ncreated \[\] call\.created\n.*ended \[\] call\.ended\n$`, printed)
}

//go:build integration

package systemtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// readmeLines runs the README's lines of curl as they stand there; only the port is this stack's.
func readmeLines(t *testing.T, s *stack.Stack) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed; the README's lines are not tried")
	}
	block := regexp.MustCompile("(?s)```sh\n(API=.*?)```").FindStringSubmatch(read(t, "README.md"))
	require.Len(t, block, 2, "the README has no block of shell that begins with API=")
	require.Contains(t, block[1], "http://127.0.0.1:8080")
	script := strings.ReplaceAll(block[1], "http://127.0.0.1:8080", s.API.Base())
	cmd := exec.CommandContext(testkit.Context(t, stack.Patience), "bash", "-euc", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	answers := objects(t, output)
	require.Len(t, answers, 6, string(output))
	for i, part := range []string{`"status":"created"`, `"token":"`, `"call.created"`, `"status":"ended"`, `"session_final"`, `"session_not_found"`} {
		require.Contains(t, answers[i], part)
	}
}

// objects splits JSON objects that follow each other, with an end of line between them or none.
func objects(t *testing.T, text []byte) []string {
	t.Helper()
	var all []string
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		var object json.RawMessage
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, string(text))
		all = append(all, string(object))
	}
}

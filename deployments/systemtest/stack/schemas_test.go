package stack_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

func TestTheOutsideValidatorKnowsEveryType(t *testing.T) {
	for _, kind := range events.Types() {
		text, err := os.ReadFile(filepath.Join(testkit.Root(), "contracts", "events", "examples", string(kind), "valid.json"))
		require.NoError(t, err)
		require.NoError(t, stack.ValidatePublished(string(kind), text))
		for name, spoilt := range map[string][]byte{
			"a field that is not known": bytes.Replace(text, []byte(`"payload": {`), []byte(`"payload": {"unknown": 1, `), 1),
			"an envelope with more":     bytes.Replace(text, []byte(`{`), []byte(`{"more": 1,`), 1),
			"a session that is no UUID": bytes.Replace(text, []byte(`"sessionId": "`), []byte(`"sessionId": "x`), 1),
			"another type":              bytes.Replace(text, []byte(`"type": "`+string(kind)), []byte(`"type": "`+string(kind)+`x`), 1),
		} {
			require.NotEqual(t, text, spoilt, name)
			require.Error(t, stack.ValidatePublished(string(kind), spoilt), "%s: %s", kind, name)
		}
	}
	require.Error(t, stack.ValidatePublished("call.eaten", []byte("{}")))
	require.Error(t, stack.ValidatePublished(string(events.CallCreated), []byte("{")))
}

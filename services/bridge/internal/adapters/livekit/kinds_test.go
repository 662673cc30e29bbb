package livekit

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sdkKinds are the kinds of webhooks by the constants of LiveKit's SDK, as its source has them.
func sdkKinds(t *testing.T) []string {
	t.Helper()
	pkg, err := build.Import("github.com/livekit/protocol/webhook", ".", 0)
	require.NoError(t, err)
	var kinds []string
	for _, name := range pkg.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, name), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Event") {
				return true
			}
			if text, ok := spec.Values[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
				kind, err := strconv.Unquote(text.Value)
				require.NoError(t, err)
				kinds = append(kinds, kind)
			}
			return true
		})
	}
	return kinds
}

// A kind that a new SDK knows is here to be decided on.
func TestEveryKindOfWebhookIsHandledOrLeftAlone(t *testing.T) {
	handled := map[string]bool{
		"room_started": true, "room_finished": true, "participant_joined": true, "participant_left": true,
		"track_published": true, "track_unpublished": true, "participant_connection_aborted": true,
		"egress_started": false, "egress_updated": false, "egress_ended": false,
		"ingress_started": false, "ingress_ended": false,
	}
	var known []string
	for kind, fact := range kinds {
		known = append(known, kind)
		want, listed := handled[kind]
		require.True(t, listed, kind)
		require.Equal(t, want, fact != nil, kind)
	}
	require.ElementsMatch(t, sdkKinds(t), known)
}

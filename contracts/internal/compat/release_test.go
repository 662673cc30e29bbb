package compat_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/internal/compat"
)

// TestRelease: the first release is taken as it is, a compatible one replaces it, and one that breaks it changes nothing.
func TestRelease(t *testing.T) {
	schemas, released := t.TempDir(), filepath.Join(t.TempDir(), "released", "v1")
	require.NoError(t, os.CopyFS(schemas, os.DirFS("testdata/catalogue")))
	require.NoError(t, compat.Release(os.DirFS(schemas), released))
	assertSameSet(t, schemas, released)

	rewrite(t, filepath.Join(schemas, opened), `"tags": { "type": "object" }`, `"tags": { "type": "object" }, "floor": { "type": "integer" }`)
	rewrite(t, filepath.Join(schemas, opened), `"1.2"`, `"1.3"`)
	require.NoError(t, compat.Release(os.DirFS(schemas), released))
	assertSameSet(t, schemas, released)

	rewrite(t, filepath.Join(schemas, opened), `"maximum": 100`, `"maximum": 10`)
	var breaks *compat.BreaksError
	require.ErrorAs(t, compat.Release(os.DirFS(schemas), released), &breaks)
	assert.ErrorContains(t, breaks, "room.opened payload.size: narrowed: maximum was 100 and is 10 now")
	kept, err := os.ReadFile(filepath.Join(released, opened))
	require.NoError(t, err)
	assert.Contains(t, string(kept), `"maximum": 100`)
}

func assertSameSet(t *testing.T, left, right string) {
	t.Helper()
	want, err := compat.Load(os.DirFS(left))
	require.NoError(t, err)
	got, err := compat.Load(os.DirFS(right))
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func rewrite(t *testing.T, path, before, after string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), before)
	require.NoError(t, os.WriteFile(path, []byte(replaceOnce(string(text), before, after)), 0o600))
}

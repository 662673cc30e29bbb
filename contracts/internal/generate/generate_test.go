package generate_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/internal/generate"
)

const module = "../.."

func generated(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := generate.Files(os.DirFS(filepath.Join(module, "events", "examples")))
	require.NoError(t, err)
	return files
}

// TestCommittedFilesAreCurrent fails where a schema was changed and what is made from it was not.
func TestCommittedFilesAreCurrent(t *testing.T) {
	stale, err := generate.Stale(module)
	require.NoError(t, err)
	assert.Empty(t, stale, "run make generate")
}

func TestTheSameIsWrittenEachTime(t *testing.T) {
	first := generated(t)
	require.Len(t, first, 4)
	for range 5 {
		assert.Equal(t, first, generated(t))
	}
}

// TestWriteMakesWhatIsStaleCurrent: only stale files are written, and afterwards none is.
func TestWriteMakesWhatIsStaleCurrent(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(root, "events", "examples"), os.DirFS(filepath.Join(module, "events", "examples"))))
	all := []string{"asyncapi/asyncapi.json", "events/CATALOGUE.md", "typescript/src/api.ts", "typescript/src/events.ts"}
	stale, err := generate.Stale(root)
	require.NoError(t, err)
	assert.Equal(t, all, stale)

	written, err := generate.Write(root)
	require.NoError(t, err)
	assert.Equal(t, all, written)
	require.NoError(t, os.WriteFile(filepath.Join(root, "events", "CATALOGUE.md"), []byte("edited by hand"), 0o600))
	written, err = generate.Write(root)
	require.NoError(t, err)
	assert.Equal(t, []string{"events/CATALOGUE.md"}, written)
	stale, err = generate.Stale(root)
	require.NoError(t, err)
	assert.Empty(t, stale)
}

func TestAMissingExampleIsTold(t *testing.T) {
	_, err := generate.Files(os.DirFS(t.TempDir()))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestEveryTypeIsInEveryFile: the catalogue to read has a section with an example, and TypeScript an interface that is part of the union.
func TestEveryTypeIsInEveryFile(t *testing.T) {
	files := generated(t)
	catalogue, typescript := string(files["events/CATALOGUE.md"]), string(files["typescript/src/events.ts"])
	for _, eventType := range events.Types() {
		_, section, found := strings.Cut(catalogue, "\n## "+string(eventType)+"\n")
		require.True(t, found, eventType)
		section, _, _ = strings.Cut(section, "\n## ")
		assert.Contains(t, section, `"type": "`+string(eventType)+`"`, eventType)
		assert.Contains(t, section, "From "+events.Producer(eventType)+", in version "+events.Version(eventType)+".", eventType)
		assert.Contains(t, typescript, `readonly type: "`+string(eventType)+`";`, eventType)
	}
	assert.Contains(t, catalogue, "| `members[].role` | string | one of `host`, `participant`, `viewer` |")
	assert.Contains(t, catalogue, "| `changes.title` | string or null, optional | 1 to 200 characters |")
	assert.Contains(t, typescript, "    readonly title?: Title;\n")
	assert.Contains(t, typescript, "/** The new value of each field that changed. At least 1 field. */\n")
}

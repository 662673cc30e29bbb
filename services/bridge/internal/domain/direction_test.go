package domain_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	gotypes "go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// noImports has the package checked without those it imports: calls within it are found all the
// same.
type noImports struct{}

func (noImports) Import(string) (*gotypes.Package, error) { return nil, errors.New("not needed") }

// TestFilesCallInOneDirection: no function of a file calls, by whichever way, back into a file that
// calls it, so that the package can be read from the bottom to the top.
func TestFilesCallInOneDirection(t *testing.T) {
	calls := fileCalls(t)
	var order []string
	for len(calls) > 0 {
		var free []string
		for file, called := range calls {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(called)), func(other string) bool { return calls[other] != nil }) {
				free = append(free, file)
			}
		}
		require.NotEmpty(t, free, "these files call each other in a circle: %v", calls)
		slices.Sort(free)
		order = append(order, free...)
		for _, file := range free {
			delete(calls, file)
		}
	}
	t.Log("from the bottom to the top:", strings.Join(order, ", "))
}

// fileCalls gives, by the file, the other files of the package whose functions it uses.
func fileCalls(t *testing.T) map[string]map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	set, files := token.NewFileSet(), []*ast.File(nil)
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, entry.Name(), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
	}
	uses := map[*ast.Ident]gotypes.Object{}
	config := gotypes.Config{Importer: noImports{}, Error: func(error) {}}
	checked, _ := config.Check("domain", set, files, &gotypes.Info{Uses: uses}) // What is imported is missing.
	calls := map[string]map[string]bool{}
	for _, file := range files {
		calls[set.Position(file.Pos()).Filename] = map[string]bool{}
	}
	edges := 0
	for ident, used := range uses {
		function, isFunction := used.(*gotypes.Func)
		if !isFunction || function.Pkg() != checked {
			continue
		}
		from, to := set.Position(ident.Pos()).Filename, set.Position(function.Pos()).Filename
		if from != to {
			calls[from][to] = true
			edges++
		}
	}
	require.Greater(t, edges, 50, "calls are found")
	return calls
}

package generate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Files returns the text of each generated file, by its path in the module contracts. examples is the folder with the events' examples.
func Files(examples fs.FS) (map[string][]byte, error) {
	c, err := read(examples)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for path, write := range map[string]func() ([]byte, error){
		"asyncapi/asyncapi.json":   c.asyncapi,
		"events/CATALOGUE.md":      c.markdown,
		"typescript/src/events.ts": c.typescript,
		"typescript/src/api.ts":    typescriptOfAPI,
	} {
		if files[path], err = write(); err != nil {
			return nil, fmt.Errorf("generating %s: %w", path, err)
		}
	}
	return files, nil
}

// Write writes every generated file under root, the folder of the module contracts, and returns the paths of those that it changed.
func Write(root string) ([]string, error) {
	stale, files, err := compare(root)
	if err != nil {
		return nil, err
	}
	for _, path := range stale {
		target := filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return nil, fmt.Errorf("making the folder of %s: %w", path, err)
		}
		if err := os.WriteFile(target, files[path], 0o600); err != nil {
			return nil, fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return stale, nil
}

// Stale returns the paths of the generated files under root that are not as they would be written now.
func Stale(root string) ([]string, error) {
	stale, _, err := compare(root)
	return stale, err
}

func compare(root string) (stale []string, files map[string][]byte, err error) {
	folder := os.DirFS(root)
	examples, err := fs.Sub(folder, "events/examples")
	if err != nil {
		return nil, nil, fmt.Errorf("opening the examples: %w", err)
	}
	if files, err = Files(examples); err != nil {
		return nil, nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		text, err := fs.ReadFile(folder, path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if !bytes.Equal(text, files[path]) {
			stale = append(stale, path)
		}
	}
	return stale, files, nil
}

package compat

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// BreaksError says why schemas can't be released: what they break of the last release.
type BreaksError struct{ Breaks []Break }

// Error lists the breaks, one a line.
func (e *BreaksError) Error() string {
	text := "the schemas break the last release:"
	for _, b := range e.Breaks {
		text += "\n  " + b.String()
	}
	return text
}

// Release keeps the schemas as those of a release, in the folder that later ones are compared with. Where they break what is kept there
// already, it changes nothing and the error is a *BreaksError. A folder that isn't there yet takes whatever can be read.
func Release(schemas fs.FS, folder string) error {
	current, err := Load(schemas)
	if err != nil {
		return err
	}
	released, err := Load(os.DirFS(folder))
	switch {
	case errors.Is(err, ErrNoEnvelope):
		released = Set{}
	case err != nil:
		return fmt.Errorf("reading what was released: %w", err)
	}
	found, err := Compare(released, current)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return &BreaksError{Breaks: found}
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("making the folder of released schemas: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(current)) {
		text, err := fs.ReadFile(schemas, name)
		if err != nil {
			return fmt.Errorf("reading schema %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return fmt.Errorf("keeping schema %s: %w", name, err)
		}
	}
	return nil
}

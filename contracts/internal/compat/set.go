// Package compat holds the schemas of the events to those of the last release: whoever was built on them must be able to read what is
// sent now, and what they send must still be accepted.
package compat

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// envelopeName is the file that every type's schema refers to.
const envelopeName = "envelope.json"

// ErrNoEnvelope says that a folder holds no catalogue.
var ErrNoEnvelope = errors.New("there is no " + envelopeName)

// Set is a whole catalogue of schemas, by file name.
type Set map[string]map[string]any

// Load reads the schemas of a folder: every *.json in it.
func Load(folder fs.FS) (Set, error) {
	names, err := fs.Glob(folder, "*.json")
	if err != nil {
		return nil, fmt.Errorf("listing schemas: %w", err)
	}
	set := Set{}
	for _, name := range names {
		if set[name], err = load(folder, name); err != nil {
			return nil, fmt.Errorf("reading schema %s: %w", name, err)
		}
	}
	if set[envelopeName] == nil {
		return nil, fmt.Errorf("reading schemas: %w", ErrNoEnvelope)
	}
	return set, nil
}

func load(folder fs.FS, name string) (_ map[string]any, err error) {
	file, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		return nil, err
	}
	object, ok := document.(map[string]any)
	if !ok {
		return nil, errors.New("it is not an object")
	}
	return object, nil
}

// types are the names of the events in the set, sorted.
func (s Set) types() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if name != envelopeName {
			names = append(names, strings.TrimSuffix(name, ".json"))
		}
	}
	return names
}

// version is the major and minor version that a type's schema names as a constant.
func (s Set) version(eventType string) (major, minor int, err error) {
	properties, _ := s[eventType+".json"]["properties"].(map[string]any)
	version, _ := properties["version"].(map[string]any)
	text, ok := version["const"].(string)
	if !ok {
		return 0, 0, errors.New("its schema names no constant version")
	}
	left, right, _ := strings.Cut(text, ".")
	major, majorErr := strconv.Atoi(left)
	minor, minorErr := strconv.Atoi(right)
	if err := errors.Join(majorErr, minorErr); err != nil {
		return 0, 0, fmt.Errorf("its version %q is not major.minor: %w", text, err)
	}
	return major, minor, nil
}

// target finds what a reference leads to, and the file that holds it. Files refer to each other by name or by $id; both end in the name.
func (s Set) target(file, reference string) (string, map[string]any, error) {
	name, pointer, _ := strings.Cut(reference, "#")
	if name != "" {
		file = path.Base(name)
	}
	node, ok := s[file]
	if !ok {
		return "", nil, fmt.Errorf("%s leads to no schema of the set", reference)
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if token == "" {
			continue
		}
		if node, ok = node[token].(map[string]any); !ok {
			return "", nil, fmt.Errorf("%s leads nowhere in %s", reference, file)
		}
	}
	return file, node, nil
}

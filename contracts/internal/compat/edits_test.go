package compat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/callplane/callplane/contracts/internal/compat"
)

const envelope = "envelope.json"

// put sets a keyword of the schema at a path.
func put(file, path, keyword string, value any) func(t *testing.T, set compat.Set) {
	return func(t *testing.T, set compat.Set) {
		t.Helper()
		at(t, set, file, path)[keyword] = value
	}
}

// unset removes keywords of the schema at a path; a field's name may be followed by another that keeps the field itself, with no rule.
func unset(file, path, keyword string, kept ...string) func(t *testing.T, set compat.Set) {
	return func(t *testing.T, set compat.Set) {
		t.Helper()
		node := at(t, set, file, path)
		delete(node, keyword)
		for _, name := range kept {
			node[name] = map[string]any{}
		}
	}
}

func noteRequired(t *testing.T, set compat.Set) {
	t.Helper()
	put(opened, "properties/payload", "required", []any{"openedBy", "size", "guests", "note"})(t, set)
}

func newRequired(t *testing.T, set compat.Set) {
	t.Helper()
	put(opened, fields, "floor", schema("integer"))(t, set)
	put(opened, "properties/payload", "required", []any{"openedBy", "size", "guests", "floor"})(t, set)
}

func reference(name string) map[string]any {
	return map[string]any{"$ref": "envelope.json#/$defs/" + name}
}

func schema(jsonType string) map[string]any { return map[string]any{"type": jsonType} }

func number(text string) json.Number { return json.Number(text) }

func replaceOnce(text, before, after string) string { return strings.Replace(text, before, after, 1) }

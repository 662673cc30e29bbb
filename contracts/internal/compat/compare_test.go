package compat_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/internal/compat"
)

const (
	opened = "room.opened.json"
	size   = "properties/payload/properties/size"
	note   = "properties/payload/properties/note"
	guest  = "properties/payload/properties/guests/items"
	fields = "properties/payload/properties"
)

// TestBreaks makes one edit after the other in a catalogue. Each is told with its place under the released major version, whatever the
// minor, and let through under a new major version.
func TestBreaks(t *testing.T) {
	for name, edit := range map[string]struct {
		change func(t *testing.T, set compat.Set)
		field  string
		kind   compat.Kind
	}{
		"field removed":                {unset(opened, fields, "openedAt"), "payload.openedAt", compat.Removed},
		"field within items removed":   {unset(opened, guest+"/properties", "role"), "payload.guests[].role", compat.Removed},
		"retyped":                      {put(opened, size, "type", "string"), "payload.size", compat.Retyped},
		"another reference":            {put(opened, fields, "openedAt", reference("role")), "payload.openedAt", compat.Narrowed},
		"type gone":                    {unset(opened, size, "type"), "payload.size", compat.Widened},
		"type new":                     {put(opened, guest+"/properties/role", "type", "string"), "payload.guests[].role", compat.Narrowed},
		"null no longer taken":         {put(opened, note, "type", "string"), "payload.note", compat.Narrowed},
		"null may come":                {put(opened, size, "type", []any{"integer", "null"}), "payload.size", compat.Widened},
		"optional field required":      {noteRequired, "payload.note", compat.Required},
		"required field optional":      {put(opened, "properties/payload", "required", []any{"openedBy", "guests"}), "payload.size", compat.Widened},
		"new required field":           {newRequired, "payload.floor", compat.Required},
		"value of an enum removed":     {put(envelope, "$defs/role", "enum", []any{"host"}), "payload.guests[].role", compat.Narrowed},
		"value of an enum added":       {put(envelope, "$defs/role", "enum", []any{"host", "viewer", "guest"}), "payload.guests[].role", compat.Widened},
		"enum new":                     {put(opened, note, "enum", []any{"a", "b"}), "payload.note", compat.Narrowed},
		"enum gone":                    {unset(opened, guest+"/properties", "role", "role"), "payload.guests[].role", compat.Widened},
		"constant new":                 {put(opened, note, "const", "a"), "payload.note", compat.Narrowed},
		"constant another":             {put(opened, "properties/type", "const", "room.open"), "type", compat.Narrowed},
		"pattern another":              {put(envelope, "$defs/userId", "pattern", "^[a-z]+$"), "payload.openedBy", compat.Narrowed},
		"pattern new":                  {put(opened, note, "pattern", "^a"), "payload.note", compat.Narrowed},
		"pattern new beside reference": {put(opened, fields+"/openedBy", "pattern", "^a"), "payload.openedBy", compat.Narrowed},
		"maximum down":                 {put(opened, size, "maximum", number("99")), "payload.size", compat.Narrowed},
		"maximum up":                   {put(opened, size, "maximum", number("101")), "payload.size", compat.Widened},
		"maximum gone":                 {unset(opened, size, "maximum"), "payload.size", compat.Widened},
		"minimum up":                   {put(opened, size, "minimum", number("2")), "payload.size", compat.Narrowed},
		"minimum down":                 {put(opened, size, "minimum", number("0.5")), "payload.size", compat.Widened},
		"exclusive minimum new":        {put(opened, size, "exclusiveMinimum", number("1")), "payload.size", compat.Narrowed},
		"multiple new":                 {put(opened, size, "multipleOf", number("2")), "payload.size", compat.Narrowed},
		"maxLength down":               {put(opened, note, "maxLength", number("9")), "payload.note", compat.Narrowed},
		"minLength up":                 {put(opened, note, "minLength", number("2")), "payload.note", compat.Narrowed},
		"maxItems down":                {put(opened, fields+"/guests", "maxItems", number("4")), "payload.guests", compat.Narrowed},
		"minItems new":                 {put(opened, fields+"/guests", "minItems", number("1")), "payload.guests", compat.Narrowed},
		"format another":               {put(opened, fields+"/openedAt", "format", "date"), "payload.openedAt", compat.Narrowed},
		"format gone":                  {unset(opened, fields+"/openedAt", "format"), "payload.openedAt", compat.Widened},
		"closed":                       {put(opened, fields+"/tags", "additionalProperties", false), "payload.tags", compat.Narrowed},
		"opened":                       {unset(opened, guest, "additionalProperties"), "payload.guests[]", compat.Widened},
		"field of an open object":      {put(opened, fields+"/tags", "properties", map[string]any{"a": schema("null")}), "payload.tags.a", compat.Narrowed},
		"name like another":            {put(opened, fields, "NOTE", schema("string")), "payload.NOTE", compat.Widened},
		"field of the envelope":        {put(envelope, "properties", "priority", schema("integer")), "priority", compat.Widened},
		"envelope's field retyped":     {put(envelope, "properties/eventId", "type", "integer"), "eventId", compat.Retyped},
		"rule of another kind":         {put(opened, "properties/payload", "not", map[string]any{"required": []any{"tags"}}), "payload", compat.Narrowed},
	} {
		t.Run(name, func(t *testing.T) {
			for _, version := range []string{"1.2", "1.3"} {
				current := catalogue(t)
				edit.change(t, current)
				put(opened, "properties/version", "const", version)(t, current)
				found := forType(compare(t, current), "room.opened")
				for i := range found {
					assert.NotEmpty(t, found[i].Why, version)
					found[i].Why = ""
				}
				assert.Contains(t, found, compat.Break{Type: "room.opened", Field: edit.field, Kind: edit.kind}, version)
			}
			current := catalogue(t)
			edit.change(t, current)
			put(opened, "properties/version", "const", "2.0")(t, current)
			assert.Empty(t, forType(compare(t, current), "room.opened"), "a new major version may change anything")
		})
	}
}

// TestASharedDefinitionIsToldForEachType: what one definition changes needs the new version of every type that uses it.
func TestASharedDefinitionIsToldForEachType(t *testing.T) {
	current := catalogue(t)
	put(envelope, "properties/eventId", "maxLength", number("5"))(t, current)
	put(opened, "properties/version", "const", "2.0")(t, current)
	found := compare(t, current)
	require.Len(t, found, 1)
	assert.Equal(t, "room.closed", found[0].Type)
}

func TestARemovedTypeIsTold(t *testing.T) {
	current := catalogue(t)
	delete(current, opened)
	found := compare(t, current)
	require.Len(t, found, 1)
	assert.Equal(t, compat.Removed, found[0].Kind)
	assert.Equal(t, "room.opened: removed: the type is no longer in the catalogue", found[0].String())
}

// TestVersionsMustTell: a new optional field is a new minor version, and no version goes back.
func TestVersionsMustTell(t *testing.T) {
	for name, edit := range map[string]struct {
		change  func(t *testing.T, set compat.Set)
		version string
		want    []compat.Break
	}{
		"new field, higher minor":    {put(opened, fields, "floor", schema("integer")), "1.3", nil},
		"new field, minor of digits": {put(opened, fields, "floor", schema("integer")), "1.10", nil},
		"new field within items":     {put(opened, guest+"/properties", "floor", schema("integer")), "1.3", nil},
		"new field, same version": {put(opened, fields, "floor", schema("integer")), "1.2", []compat.Break{{
			Type: "room.opened", Field: "payload.floor", Kind: compat.Unversioned,
			Why: "the field is new, so the minor version must be higher than 1.2",
		}}},
		"minor back": {func(*testing.T, compat.Set) {}, "1.1", []compat.Break{{
			Type: "room.opened", Field: "version", Kind: compat.Unversioned, Why: "1.2 was released, and versions never go back to 1.1",
		}}},
		"major back": {func(*testing.T, compat.Set) {}, "0.9", []compat.Break{{
			Type: "room.opened", Field: "version", Kind: compat.Unversioned, Why: "1.2 was released, and versions never go back to 0.9",
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			current := catalogue(t)
			edit.change(t, current)
			put(opened, "properties/version", "const", edit.version)(t, current)
			assert.Equal(t, edit.want, compare(t, current))
		})
	}
}

// TestWhatChangesNothing: words, order, the place where a rule is written, and further types.
func TestWhatChangesNothing(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, set compat.Set){
		"nothing":           func(*testing.T, compat.Set) {},
		"description":       put(opened, fields+"/openedAt", "description", "At which time."),
		"order of required": put(opened, "properties/payload", "required", []any{"guests", "size", "openedBy"}),
		"order of an enum":  put(envelope, "$defs/role", "enum", []any{"viewer", "host"}),
		"order of types":    put(opened, note, "type", []any{"null", "string"}),
		"inlined":           put(opened, guest+"/properties", "role", map[string]any{"enum": []any{"host", "viewer"}}),
		"type in a list":    put(opened, size, "type", []any{"integer"}),
		"unused definition": put(envelope, "$defs", "unused", schema("string")),
		"new type": func(_ *testing.T, set compat.Set) {
			set["room.painted.json"] = set[opened]
		},
	} {
		t.Run(name, func(t *testing.T) {
			current := catalogue(t)
			change(t, current)
			assert.Empty(t, compare(t, current))
		})
	}
}

// TestWhatCannotBeCompared is an error, never a silent pass.
func TestWhatCannotBeCompared(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, set compat.Set){
		"no constant version":     unset(opened, "properties", "version"),
		"version of other form":   put(opened, "properties/version", "const", "one"),
		"reference to no file":    put(opened, fields, "openedBy", map[string]any{"$ref": "missing.json#/$defs/userId"}),
		"reference to no place":   put(opened, fields, "openedBy", reference("missing")),
		"reference within itself": put(envelope, "$defs/userId", "$ref", "#/$defs/userId"),
	} {
		t.Run(name, func(t *testing.T) {
			current := catalogue(t)
			change(t, current)
			_, err := compat.Compare(catalogue(t), current)
			assert.ErrorContains(t, err, "comparing room.opened with its release")
		})
	}
	_, err := compat.Load(os.DirFS(t.TempDir()))
	assert.ErrorContains(t, err, "there is no envelope.json")
}

func compare(t *testing.T, current compat.Set) []compat.Break {
	t.Helper()
	found, err := compat.Compare(catalogue(t), current)
	require.NoError(t, err)
	return found
}

func forType(breaks []compat.Break, eventType string) []compat.Break {
	var found []compat.Break
	for _, b := range breaks {
		if b.Type == eventType {
			found = append(found, b)
		}
	}
	return found
}

func catalogue(t *testing.T) compat.Set {
	t.Helper()
	set, err := compat.Load(os.DirFS("testdata/catalogue"))
	require.NoError(t, err)
	return set
}

// at finds the object that a path of keywords leads to in a schema.
func at(t *testing.T, set compat.Set, file, path string) map[string]any {
	t.Helper()
	node := set[file]
	for token := range strings.SplitSeq(path, "/") {
		child, ok := node[token].(map[string]any)
		require.True(t, ok, "%s has no %s", file, path)
		node = child
	}
	return node
}

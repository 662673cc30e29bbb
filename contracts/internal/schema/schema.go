// Package schema compiles the embedded JSON Schemas and says what a document breaks of them.
package schema

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema holds documents to one compiled JSON Schema. It is safe for concurrent use.
type Schema struct{ compiled *jsonschema.Schema }

// Compile compiles JSON Schemas (2020-12) that may refer to each other and to the references, formats
// asserted. It returns them in the order given. The schemas are part of the build, so one that does
// not compile panics.
func Compile(schemas []map[string]any, references ...map[string]any) []Schema {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	for _, document := range slices.Concat(schemas, references) {
		location := Part[string](document, "$id")
		if err := compiler.AddResource(location, document); err != nil {
			panic(fmt.Sprintf("contracts: adding schema %s: %v", location, err))
		}
	}
	compiled := make([]Schema, 0, len(schemas))
	for _, document := range schemas {
		compiled = append(compiled, Schema{compiled: compiler.MustCompile(Part[string](document, "$id"))})
	}
	return compiled
}

// Parse reads the text of an embedded schema; it panics where that isn't a JSON object.
func Parse(text []byte) map[string]any {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(fmt.Sprintf("contracts: embedded schema is not JSON: %v", err))
	}
	object, ok := document.(map[string]any)
	if !ok {
		panic("contracts: embedded schema is not an object")
	}
	return object
}

// Part returns what an embedded schema has under name. It panics where that isn't a T.
func Part[T any](document map[string]any, name string) T {
	part, ok := document[name].(T)
	if !ok {
		panic(fmt.Sprintf("contracts: embedded schema has no %T as its %s", part, name))
	}
	return part
}

// Validate returns the rules that document breaks, none where it is valid. Numbers in the document
// are json.Number.
func (s Schema) Validate(document map[string]any) []Violation {
	err := s.compiled.Validate(document)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return leaves(invalid)
	}
	return []Violation{{Rule: "could not be validated"}}
}

const maxDescribed = 3

// Describe says what is wrong in one line: the first few rules, and how many more.
func Describe(found []Violation) string {
	lines := make([]string, 0, maxDescribed+1)
	for i, v := range found {
		if i == maxDescribed {
			lines = append(lines, fmt.Sprintf("and %d more", len(found)-i))
			break
		}
		lines = append(lines, strings.TrimSpace(v.Pointer+" "+v.Rule))
	}
	return strings.Join(lines, "; ")
}

// AllowUnknown lets a schema, and all within it, take properties that it does not name. One that
// differs from a named property by case alone is still refused: encoding/json would read it into the
// named one's field, past that one's rules.
func AllowUnknown(node any) {
	switch node := node.(type) {
	case map[string]any:
		if properties, ok := node["properties"].(map[string]any); ok && node["additionalProperties"] == false {
			delete(node, "additionalProperties")
			node["propertyNames"] = unlike(properties)
		}
		for _, child := range node {
			AllowUnknown(child)
		}
	case []any:
		for _, child := range node {
			AllowUnknown(child)
		}
	}
}

// unlike returns a schema of the names in properties and of those that aren't like one of them.
func unlike(properties map[string]any) map[string]any {
	names := make([]any, 0, len(properties))
	quoted := make([]string, 0, len(properties))
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		names = append(names, name)
		quoted = append(quoted, regexp.QuoteMeta(name))
	}
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": names},
		map[string]any{"not": map[string]any{"pattern": "(?i)^(" + strings.Join(quoted, "|") + ")$"}},
	}}
}

// Violation is one broken rule: where, and which. It never holds a value of the document.
type Violation struct {
	Pointer string // JSON pointer (RFC 6901); "" for the whole
	Rule    string
}

// leaves lists what a failed validation found, in an order that depends on nothing but the
// document.
func leaves(err *jsonschema.ValidationError) []Violation {
	var found []Violation
	var visit func(e *jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			found = append(found, Violation{Pointer: pointer(e.InstanceLocation), Rule: rule(e.ErrorKind)})
		}
		for _, cause := range e.Causes {
			visit(cause)
		}
	}
	visit(err)
	slices.SortFunc(found, func(a, b Violation) int {
		return strings.Compare(a.Pointer+"\x00"+a.Rule, b.Pointer+"\x00"+b.Rule)
	})
	return slices.Compact(found)
}

// rule says in words which rule was broken. The library's own words quote the value for some.
func rule(broken jsonschema.ErrorKind) string {
	switch broken := broken.(type) {
	case *kind.Required:
		return "misses " + strings.Join(broken.Missing, ", ")
	case *kind.Type:
		return "is " + broken.Got + ", must be " + strings.Join(broken.Want, " or ")
	case *kind.Const:
		return fmt.Sprintf("must be %v", broken.Want)
	case *kind.Enum:
		return fmt.Sprintf("must be one of %v", broken.Want)
	case *kind.AdditionalProperties:
		return fmt.Sprintf("has %d fields that the contract does not know", len(broken.Properties))
	case *kind.Format:
		return "must be a valid " + broken.Want
	case *kind.Pattern:
		return "must match " + broken.Want
	default:
		return "breaks the rule " + strings.Join(broken.KeywordPath(), "/")
	}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer joins a location to a JSON pointer (RFC 6901).
func pointer(location []string) string {
	var joined strings.Builder
	for _, token := range location {
		joined.WriteByte('/')
		joined.WriteString(pointerEscapes.Replace(token))
	}
	return joined.String()
}

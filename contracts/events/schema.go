package events

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// envelopeSchemaName is the file that every type's schema refers to.
const envelopeSchemaName = "envelope"

//go:embed schemas/*.json
var schemaFiles embed.FS

// Schema returns the JSON Schema (2020-12) of t's whole envelope, in the version that this build
// emits, or nil for a type that is not in the catalogue.
func Schema(t Type) []byte {
	if !t.Known() {
		return nil
	}
	return schemaFile(string(t))
}

// EnvelopeSchema returns the JSON Schema that all types' schemas refer to.
func EnvelopeSchema() []byte { return schemaFile(envelopeSchemaName) }

func schemaFile(name string) []byte {
	text, err := schemaFiles.ReadFile("schemas/" + name + ".json")
	if err != nil {
		panic("contracts: embedded schema is missing: " + err.Error())
	}
	return text
}

// strictSchemas hold an event of our own or an older minor version; a payload has no field that they
// don't know.
var strictSchemas = sync.OnceValue(func() map[Type]*jsonschema.Schema {
	return compileSchemas(func(map[string]any) {})
})

// tolerantSchemas hold an event of a newer minor version: what we know of it must be as we know it,
// and the payload may have more.
var tolerantSchemas = sync.OnceValue(func() map[Type]*jsonschema.Schema {
	return compileSchemas(func(schema map[string]any) {
		allowUnknown(schema["properties"].(map[string]any)["payload"])
	})
})

// compileSchemas compiles every type's schema after change was made to it. The version's value is
// left to the code that reads it; the files name it for those who only have the files. A file that
// does not compile is a broken build, so it panics.
func compileSchemas(change func(schema map[string]any)) map[Type]*jsonschema.Schema {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	addSchema(compiler, parseSchema(envelopeSchemaName))
	locations := map[Type]string{}
	for _, t := range Types() {
		schema := parseSchema(string(t))
		delete(schema["properties"].(map[string]any), "version")
		change(schema)
		locations[t] = addSchema(compiler, schema)
	}
	compiled := make(map[Type]*jsonschema.Schema, len(locations))
	for t, location := range locations {
		compiled[t] = compiler.MustCompile(location)
	}
	return compiled
}

func parseSchema(name string) map[string]any {
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaFile(name)))
	if err != nil {
		panic(fmt.Sprintf("contracts: embedded schema %s is not JSON: %v", name, err))
	}
	return schema.(map[string]any)
}

func addSchema(compiler *jsonschema.Compiler, schema map[string]any) (location string) {
	location = schema["$id"].(string)
	if err := compiler.AddResource(location, schema); err != nil {
		panic(fmt.Sprintf("contracts: adding schema %s: %v", location, err))
	}
	return location
}

// allowUnknown takes "no other properties" out of a schema and all within it.
func allowUnknown(node any) {
	switch node := node.(type) {
	case map[string]any:
		if node["additionalProperties"] == false {
			delete(node, "additionalProperties")
		}
		for _, child := range node {
			allowUnknown(child)
		}
	case []any:
		for _, child := range node {
			allowUnknown(child)
		}
	}
}

// violation is one broken rule: where, and which. It never holds a value of the event.
type violation struct{ pointer, rule string }

// violations lists what a failed validation found, in an order that depends on nothing but the
// event.
func violations(err *jsonschema.ValidationError) []violation {
	var found []violation
	var visit func(e *jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			found = append(found, violation{pointer: pointer(e.InstanceLocation), rule: rule(e.ErrorKind)})
		}
		for _, cause := range e.Causes {
			visit(cause)
		}
	}
	visit(err)
	slices.SortFunc(found, func(a, b violation) int {
		return strings.Compare(a.pointer+"\x00"+a.rule, b.pointer+"\x00"+b.rule)
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

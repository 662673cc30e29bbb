package events

import (
	"embed"
	"sync"

	"github.com/callplane/callplane/contracts/internal/schema"
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
var strictSchemas = sync.OnceValue(func() map[Type]schema.Schema {
	return compileSchemas(false)
})

// tolerantSchemas hold an event of a newer minor version: what we know of it must be as we know it,
// and the payload may have more.
var tolerantSchemas = sync.OnceValue(func() map[Type]schema.Schema {
	return compileSchemas(true)
})

// compileSchemas compiles every type's schema; tolerant ones let payloads have fields that aren't
// known, while the envelope keeps to its seven. The version's value is left to the code that reads
// it; the files name it for those who only have the files.
func compileSchemas(tolerant bool) map[Type]schema.Schema {
	envelope := schema.Parse(EnvelopeSchema())
	if tolerant {
		schema.AllowUnknown(envelope["$defs"])
	}
	types := Types()
	documents := make([]map[string]any, 0, len(types))
	for _, t := range types {
		document := schema.Parse(Schema(t))
		properties := schema.Part[map[string]any](document, "properties")
		delete(properties, "version")
		if tolerant {
			schema.AllowUnknown(properties["payload"])
		}
		documents = append(documents, document)
	}
	compiled := make(map[Type]schema.Schema, len(types))
	for i, s := range schema.Compile(documents, envelope) {
		compiled[types[i]] = s
	}
	return compiled
}

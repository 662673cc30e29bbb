package generate

import (
	"fmt"
	"slices"

	"github.com/callplane/callplane/contracts/openapi"
)

// ofEvents are the API's schemas that the events' own types stand for.
var ofEvents = map[string]string{"Event": "Envelope", "EventType": "EventType"}

// ofOperators are those that no client of calls reads.
var ofOperators = []string{"Liveness", "Readiness"}

// typescriptOfAPI writes the bodies of the HTTP API.
func typescriptOfAPI() ([]byte, error) {
	document, err := parse(openapi.Document())
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	schemas := document.child("components").child("schemas")
	w := &typescriptWriter{definitions: definitions{prefix: "#/components/schemas/", all: schemas}}
	w.line("// Generated from the OpenAPI document by make generate; not to be edited.")
	w.line("")
	w.line(`import type { Envelope, EventType } from "./events.ts";`)
	var names []string
	for _, name := range schemas.names {
		if _, there := ofEvents[name]; !there && !slices.Contains(ofOperators, name) {
			names = append(names, name)
		}
	}
	if err := w.shared(names); err != nil {
		return nil, err
	}
	return []byte(w.text.String()), nil
}

// nameOf is the TypeScript name of a definition.
func (w *typescriptWriter) nameOf(definition string) string {
	if event, there := ofEvents[definition]; there && w.catalogue == nil {
		return event
	}
	return aliasName(definition)
}

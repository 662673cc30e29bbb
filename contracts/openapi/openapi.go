// Package openapi holds the description of the public HTTP API: what is served at /openapi.json, and
// what the service's own answers are checked against in its tests.
package openapi

import (
	_ "embed"
	"slices"
)

//go:embed openapi.json
var document []byte

// Document returns the OpenAPI 3.1 document, as JSON.
func Document() []byte { return slices.Clone(document) }

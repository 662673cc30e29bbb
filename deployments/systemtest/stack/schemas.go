package stack

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/callplane/callplane/contracts/events"
)

// published holds the published schemas, compiled by another library than the services': what both let pass is what the schemas say, and
// not what one library makes of them.
var published = sync.OnceValues(func() (map[string]*jsonschema.Resolved, error) {
	schemas := make(map[string]*jsonschema.Resolved)
	for _, t := range events.Types() {
		schema, err := parseSchema(events.Schema(t))
		if err != nil {
			return nil, fmt.Errorf("reading the schema of %s: %w", t, err)
		}
		if schemas[string(t)], err = schema.Resolve(&jsonschema.ResolveOptions{Loader: loadSchema}); err != nil {
			return nil, fmt.Errorf("resolving the schema of %s: %w", t, err)
		}
	}
	return schemas, nil
})

func parseSchema(text []byte) (*jsonschema.Schema, error) {
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("parsing a schema: %w", err)
	}
	return &schema, nil
}

// loadSchema gives the one document that the types' schemas refer to.
func loadSchema(uri *url.URL) (*jsonschema.Schema, error) {
	if name := strings.TrimSuffix(path.Base(uri.Path), ".json"); name != "envelope" {
		return nil, fmt.Errorf("there is no published schema %s", uri)
	}
	return parseSchema(events.EnvelopeSchema())
}

// ValidatePublished holds a message's body against the published schema of the type that it was sent as.
func ValidatePublished(routingKey string, body []byte) error {
	schemas, err := published()
	if err != nil {
		return err
	}
	schema, known := schemas[routingKey]
	if !known {
		return fmt.Errorf("no schema is published for %q", routingKey)
	}
	var event any
	if err := json.Unmarshal(body, &event); err != nil {
		return fmt.Errorf("%s is not JSON: %w", routingKey, err)
	}
	if err := schema.Validate(event); err != nil {
		return fmt.Errorf("%s breaks its published schema: %w", routingKey, err)
	}
	return nil
}

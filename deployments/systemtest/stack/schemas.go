package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/callplane/callplane/libs/testkit"
)

// published holds the published schemas by type, from their files, compiled by another library than the services': what both let pass is
// what the schemas say, and not what one library makes of them.
var published = sync.OnceValues(func() (map[string]*jsonschema.Resolved, error) {
	files, err := filepath.Glob(filepath.Join(schemaFolder(), "*.*.json"))
	if err == nil && len(files) == 0 {
		err = errors.New("there are none in " + schemaFolder())
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the published schemas: %w", err)
	}
	schemas := make(map[string]*jsonschema.Resolved)
	for _, file := range files {
		schema, err := readSchema(file)
		if err != nil {
			return nil, err
		}
		kind := strings.TrimSuffix(filepath.Base(file), ".json")
		if schemas[kind], err = schema.Resolve(&jsonschema.ResolveOptions{Loader: loadSchema}); err != nil {
			return nil, fmt.Errorf("resolving the schema of %s: %w", kind, err)
		}
	}
	return schemas, nil
})

func schemaFolder() string { return filepath.Join(testkit.Root(), "contracts", "events", "schemas") }

func readSchema(file string) (*jsonschema.Schema, error) {
	text, err := os.ReadFile(file) //nolint:gosec // One of our own.
	if err != nil {
		return nil, fmt.Errorf("reading a schema: %w", err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("parsing the schema %s: %w", file, err)
	}
	return &schema, nil
}

// loadSchema gives the one document that the types' schemas refer to.
func loadSchema(uri *url.URL) (*jsonschema.Schema, error) {
	if name := path.Base(uri.Path); name != "envelope.json" {
		return nil, fmt.Errorf("there is no published schema %s", uri)
	}
	return readSchema(filepath.Join(schemaFolder(), "envelope.json"))
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

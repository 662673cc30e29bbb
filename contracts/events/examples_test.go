package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// The committed examples are for outside users, and they are a ratchet: a schema that gets weaker
// takes an invalid example, one that gets stricter refuses a valid one.
var update = flag.Bool("update", false, "write the invalid examples anew from the schemas and the valid ones")

const examplesDir = "examples"

// published compiles t's schema as an outside user would: from the published files alone.
func published(t *testing.T, eventType events.Type) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, text := range [][]byte{events.EnvelopeSchema(), events.Schema(eventType)} {
		document := parse(t, text)
		require.NoError(t, compiler.AddResource(document["$id"].(string), document))
	}
	compiled, err := compiler.Compile(parse(t, events.Schema(eventType))["$id"].(string))
	require.NoError(t, err)
	return compiled
}

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	require.IsType(t, map[string]any{}, document)
	return document.(map[string]any)
}

// examples returns the example files of a type by name, those with the given prefix.
func examples(t *testing.T, eventType events.Type, prefix string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(examplesDir, string(eventType), prefix+"*.json"))
	require.NoError(t, err)
	found := map[string][]byte{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		found[strings.TrimSuffix(filepath.Base(path), ".json")] = text
	}
	return found
}

// delivered wraps body as the broker would deliver it from its rightful producer.
func delivered(eventType events.Type, body []byte) events.Delivery {
	var properties struct{ EventID, SessionID string }
	_ = json.Unmarshal(body, &properties) // what can't be read stays empty
	return events.Delivery{
		Body:          body,
		RoutingKey:    string(eventType),
		MessageID:     properties.EventID,
		UserID:        events.Producer(eventType),
		SessionHeader: properties.SessionID,
	}
}

func TestValidExamples(t *testing.T) {
	for _, eventType := range events.Types() {
		t.Run(string(eventType), func(t *testing.T) {
			valid := examples(t, eventType, "valid")
			require.Contains(t, valid, "valid")
			schema := published(t, eventType)
			for name, text := range valid {
				assert.NoError(t, schema.Validate(parse(t, text)), name)
				accepted, err := events.Accept(delivered(eventType, text))
				if assert.NoError(t, err, name) {
					assert.Equal(t, eventType, accepted.Type)
					assert.Equal(t, string(text), string(accepted.Raw), "kept byte by byte")
				}
			}
		})
	}
}

// TestInvalidExamples: for each rule of each type's schema there is an example that breaks it, that
// breaks it there and nowhere else, and that is refused. There are no examples of rules that are no
// more.
func TestInvalidExamples(t *testing.T) {
	for _, eventType := range events.Types() {
		t.Run(string(eventType), func(t *testing.T) {
			valid := parse(t, examples(t, eventType, "valid")["valid"])
			rules := payloadRules(t, eventType, valid)
			if eventType == envelopeExample {
				rules = append(rules, envelopeRules(t, valid)...)
			}
			if *update {
				writeInvalid(t, eventType, rules)
			}
			invalid := examples(t, eventType, "invalid")
			want := map[string]breach{}
			for _, rule := range rules {
				want["invalid-"+rule.name] = rule
			}
			require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(invalid)),
				"examples and rules differ: run go test ./events -run TestInvalidExamples -update")
			schema := published(t, eventType)
			for name, text := range invalid {
				assertBreaks(t, schema, name, text, want[name])
				_, err := events.Accept(delivered(eventType, text))
				var rejected *events.RejectedError
				assert.ErrorAs(t, err, &rejected, name)
			}
		})
	}
}

// assertBreaks holds that the example breaks its rule at its place, and no rule at any other.
func assertBreaks(t *testing.T, schema *jsonschema.Schema, name string, text []byte, want breach) {
	t.Helper()
	var invalid *jsonschema.ValidationError
	if !assert.ErrorAs(t, schema.Validate(parse(t, text)), &invalid, name) {
		return
	}
	found := leafBreaches(invalid)
	keyword, _, _ := strings.Cut(want.name, "-")
	assert.Contains(t, found, keyword+" at "+want.pointer, name)
	for _, other := range found {
		assert.True(t, strings.HasSuffix(other, " at "+want.pointer), "%s also breaks %s", name, other)
	}
}

func leafBreaches(invalid *jsonschema.ValidationError) []string {
	if len(invalid.Causes) == 0 {
		at := ""
		for _, token := range invalid.InstanceLocation {
			at += "/" + token
		}
		return []string{fmt.Sprintf("%s at %s", strings.Join(invalid.ErrorKind.KeywordPath(), "/"), at)}
	}
	var found []string
	for _, cause := range invalid.Causes {
		found = append(found, leafBreaches(cause)...)
	}
	return found
}

func writeInvalid(t *testing.T, eventType events.Type, rules []breach) {
	t.Helper()
	for name := range examples(t, eventType, "invalid") {
		require.NoError(t, os.Remove(filepath.Join(examplesDir, string(eventType), name+".json")))
	}
	for _, rule := range rules {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		require.NoError(t, encoder.Encode(rule.event))
		path := filepath.Join(examplesDir, string(eventType), "invalid-"+rule.name+".json")
		require.NoError(t, os.WriteFile(path, text.Bytes(), 0o644))
	}
}

package generate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The catalogue has no schema of some of these forms yet; the first that does must come out right.
func TestTypeScriptOfSchemas(t *testing.T) {
	shared := definitions{prefix: "#/$defs/", all: node(t, `{"role": {"enum": ["host"]}, "error": {"type": "object"}}`)}
	w := &typescriptWriter{catalogue: &catalogue{definitions: shared}, definitions: shared}
	for schema, want := range map[string]string{
		`{}`:                                    "unknown",
		`{"type": "integer"}`:                   "number",
		`{"type": ["number", "null"]}`:          "number | null",
		`{"type": ["integer", "number"]}`:       "number",
		`{"const": "a"}`:                        `"a"`,
		`{"enum": ["a", 1, null]}`:              `"a" | 1 | null`,
		`{"$ref": "envelope.json#/$defs/role"}`: "Role",
		`{"$ref": "https://callplane.dev/x/envelope.json#/$defs/error"}`: "ErrorValue",
		`{"type": "array", "items": {"type": ["string", "null"]}}`:       "readonly (string | null)[]",
		`{"type": "array", "items": {"$ref": "#/$defs/role"}}`:           "readonly Role[]",
		`{"type": "array"}`:  "readonly unknown[]",
		`{"type": "object"}`: "{ readonly [name: string]: unknown }",
		`{"type": "object", "additionalProperties": {"type": "string"}}`:                  "{ readonly [name: string]: string }",
		`{"oneOf": [{"type": "string"}, {"type": "boolean"}]}`:                            "((string) | (boolean))",
		`{"type": "string", "allOf": [{"enum": ["a", "b"]}]}`:                             `string & ("a" | "b")`,
		`{"properties": {"a": {"const": 1}}}`:                                             "{\n  readonly a?: 1;\n}",
		`{"type": "object", "required": ["a"], "properties": {"a": {"type": "boolean"}}}`: "{\n  readonly a: boolean;\n}",
		`{"properties": {"a": {"type": "string", "description": "Why. */ x"}}}`:           "{\n  /** Why. *\\/ x */\n  readonly a?: string;\n}",
		`{"type": ["object", "null"], "properties": {"a": {"type": "string", "maxLength": 3}}}`: "{\n" +
			"  /** At most 3 characters. */\n  readonly a?: string;\n} | null",
	} {
		written, err := w.value("", node(t, schema))
		require.NoError(t, err, schema)
		assert.Equal(t, want, written, schema)
	}
	for _, schema := range []string{`{"type": "set"}`, `{"$ref": "#/$defs/missing"}`, `{"oneOf": [true]}`} {
		_, err := w.value("", node(t, schema))
		assert.Error(t, err, schema)
	}
}

func TestRulesInWords(t *testing.T) {
	for schema, want := range map[string][]string{
		`{"type": "string", "description": "Nothing."}`:            nil,
		`{"minimum": 1, "maximum": 5}`:                             {"1 to 5"},
		`{"exclusiveMinimum": 0}`:                                  {"exclusiveMinimum `0`"},
		`{"minItems": 1}`:                                          {"at least 1 item"},
		`{"maxItems": 3, "items": {}}`:                             {"at most 3 items"},
		`{"pattern": "^a|b$", "format": "date"}`:                   {"matches `^a|b$`", "format date"},
		`{"const": true}`:                                          {"always `true`"},
		`{"uniqueItems": true}`:                                    {"no item twice"},
		`{"if": {"required": ["a"]}, "then": {"required": ["b"]}}`: {"if `{\"required\":[\"a\"]}`", "then `{\"required\":[\"b\"]}`"},
	} {
		told, err := rules(node(t, schema))
		require.NoError(t, err, schema)
		assert.Equal(t, want, told, schema)
	}
}

// TestBundleRefusesWhatAsyncAPICannotSay, so that a rule is never left out in silence.
func TestBundleRefusesWhatAsyncAPICannotSay(t *testing.T) {
	for _, schema := range []string{
		`{"unevaluatedProperties": false}`, `{"properties": {"a": {"prefixItems": []}}}`, `{"allOf": [{"dependentRequired": {}}]}`,
		`{"$ref": "other.json"}`,
	} {
		_, err := bundle(node(t, schema))
		assert.Error(t, err, schema)
	}
	bundled, err := bundle(node(t, `{"$ref": "envelope.json#/$defs/a", "allOf": [{"const": 1}], "description": "One."}`))
	require.NoError(t, err)
	text, err := encode(bundled)
	require.NoError(t, err)
	assert.JSONEq(t, `{"allOf": [{"$ref": "#/components/schemas/a"}, {"const": 1}], "description": "One."}`, string(text))
}

func TestParseKeepsOrderAndRefusesRubbish(t *testing.T) {
	const text = `{"b":[1,{"z":null,"a":1.50}],"a":"<&>"}`
	encoded, err := encode(node(t, text))
	require.NoError(t, err)
	assert.Equal(t, text, string(encoded))
	for _, rubbish := range []string{``, `[]`, `{"a":1}{}`, `{"a":`, `{"a":[1}`, `nope`} {
		_, err := parse([]byte(rubbish))
		assert.Error(t, err, rubbish)
	}
}

func node(t *testing.T, text string) *object {
	t.Helper()
	parsed, err := parse([]byte(text))
	require.NoError(t, err)
	return parsed
}

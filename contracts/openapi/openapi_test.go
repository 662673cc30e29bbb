package openapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/openapi"
)

// TestDocumentIsValidOpenAPI holds the document to the schema that the OpenAPI Initiative publishes
// (https://spec.openapis.org/oas/3.1/schema/2022-10-07), and its schemas to JSON Schema's own.
func TestDocumentIsValidOpenAPI(t *testing.T) {
	official, err := os.ReadFile("testdata/oas-3.1-schema-2022-10-07.json")
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(official, &schema))
	root := document(t)
	compiled := compile(t, schema, "#")
	require.NoError(t, compiled.Validate(root))
	for name := range at(t, root, "#/components/schemas").(map[string]any) {
		compile(t, root, "#/components/schemas/"+name)
	}

	root["paths"].(map[string]any)["no slash"] = map[string]any{}
	assert.Error(t, compiled.Validate(root), "the official schema refuses what is wrong")
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	root := document(t)
	found := 0
	var visit func(node any)
	visit = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if ref, ok := node["$ref"].(string); ok {
				require.True(t, strings.HasPrefix(ref, "#/"), ref)
				at(t, root, ref)
				found++
			}
			for _, child := range node {
				visit(child)
			}
		case []any:
			for _, child := range node {
				visit(child)
			}
		}
	}
	visit(root)
	assert.Greater(t, found, 100)
}

func TestDocumentIsItsOwn(t *testing.T) {
	clear(openapi.Document())
	assert.True(t, json.Valid(openapi.Document()))
}

func document(t *testing.T) map[string]any {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.Document()))
	require.NoError(t, err)
	return parsed.(map[string]any)
}

// at follows a JSON pointer, and a $ref where it leads to one.
func at(t *testing.T, root map[string]any, pointer string) any {
	t.Helper()
	var value any = root
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		object, ok := value.(map[string]any)
		require.True(t, ok, pointer)
		require.Contains(t, object, token, pointer)
		value = object[token]
		if object, ok = value.(map[string]any); ok && object["$ref"] != nil {
			value = at(t, root, object["$ref"].(string))
		}
	}
	return value
}

const documentURL = "https://callplane.dev/openapi.json"

// compile compiles the schema at a pointer into the document, formats asserted.
func compile(t *testing.T, root map[string]any, pointer string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource(documentURL, root))
	schema, err := compiler.Compile(documentURL + pointer)
	require.NoError(t, err, pointer)
	return schema
}

// TestExamplesAreValid holds every example of the document to the schema beside it, and every body
// and response to have one.
func TestExamplesAreValid(t *testing.T) {
	root := document(t)
	checked := 0
	var visit func(node any, pointer string)
	visit = func(node any, pointer string) {
		object, ok := node.(map[string]any)
		if !ok {
			return
		}
		if examples, ok := object["examples"].(map[string]any); ok && object["schema"] != nil {
			schema := compile(t, root, pointer+"/schema")
			for name, example := range examples {
				assert.NoError(t, schema.Validate(example.(map[string]any)["value"]), "%s: %s", pointer, name)
				checked++
			}
		}
		for name, child := range object {
			visit(child, pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
		}
	}
	visit(root, "#")
	assert.Greater(t, checked, 40)
}

// operations calls visit for each operation of the document.
func operations(t *testing.T, root map[string]any, visit func(name string, operation map[string]any)) {
	t.Helper()
	for path, item := range root["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if object, ok := operation.(map[string]any); ok && method != "parameters" {
				visit(strings.ToUpper(method)+" "+path, object)
			}
		}
	}
}

func TestOperations(t *testing.T) {
	root := document(t)
	var found []string
	operations(t, root, func(name string, operation map[string]any) {
		found = append(found, name)
		for status, response := range operation["responses"].(map[string]any) {
			if ref, ok := response.(map[string]any)["$ref"].(string); ok {
				response = at(t, root, ref)
			}
			assert.Contains(t, response.(map[string]any)["headers"], "X-Request-Id", "%s %s", name, status)
		}
	})
	assert.ElementsMatch(t, []string{
		"POST /v1/call/sessions", "GET /v1/call/sessions", "GET /v1/call/sessions/{sessionId}", "PATCH /v1/call/sessions/{sessionId}",
		"PUT /v1/call/sessions/{sessionId}/members/{userId}", "DELETE /v1/call/sessions/{sessionId}/members/{userId}",
		"POST /v1/call/sessions/{sessionId}/token", "GET /v1/call/sessions/{sessionId}/events", "GET /v1/call/events",
		"POST /v1/call/sessions/{sessionId}/events",
		"PUT /v1/call/sessions/{sessionId}/checkpoints/{consumer}", "GET /v1/call/sessions/{sessionId}/checkpoints/{consumer}",
		"GET /livez", "GET /readyz", "GET /openapi.json", "GET /docs", "GET /docs/{asset}",
	}, found)
}

// TestEveryCodeOfAResponseIsListed: what a response may say is in the closed list, and the response's
// status is the code's.
func TestEveryCodeOfAResponseIsListed(t *testing.T) {
	root := document(t)
	listed := at(t, root, "#/components/schemas/ProblemCode/enum").([]any)
	statusOf := map[string]string{}
	for name := range at(t, root, "#/components/responses").(map[string]any) {
		if name == "Problem" {
			continue // to what is not described
		}
		both := at(t, root, "#/components/responses/"+name+"/content/application~1problem+json/schema").(map[string]any)["allOf"].([]any)
		narrowed := both[1].(map[string]any)["properties"].(map[string]any)
		status := fmt.Sprint(narrowed["status"].(map[string]any)["const"])
		for _, code := range narrowed["code"].(map[string]any)["enum"].([]any) {
			assert.Contains(t, listed, code, name)
			previous, seen := statusOf[code.(string)]
			assert.True(t, !seen || previous == status, "%s has two statuses", code)
			statusOf[code.(string)] = status
		}
	}
	assert.Equal(t, "503", statusOf["provider_unavailable"])
}

// TestSchemasAgreeWithTheEvents: what the API and the events both speak of has one form.
func TestSchemasAgreeWithTheEvents(t *testing.T) {
	root := document(t)
	schemas := at(t, root, "#/components/schemas").(map[string]any)
	schema := func(name string) map[string]any { return schemas[name].(map[string]any) }
	var envelope map[string]any
	require.NoError(t, json.Unmarshal(events.EnvelopeSchema(), &envelope))
	defs := envelope["$defs"].(map[string]any)
	for api, event := range map[string]string{
		"Uuid": "uuid", "Instant": "instant", "UserId": "userId", "Provider": "provider", "ProviderId": "providerId",
	} {
		assert.Equal(t, defs[event].(map[string]any)["pattern"], schema(api)["pattern"], api)
	}
	assert.Equal(t, defs["role"].(map[string]any)["enum"], schema("Role")["enum"])
	assert.Equal(t, fmt.Sprint(events.MaxTitle), fmt.Sprint(schema("Title")["maxLength"]))
	assert.Equal(t, fmt.Sprint(events.MaxReason), fmt.Sprint(schema("EndReason")["maxLength"]))

	var types []any
	for _, eventType := range events.Types() {
		types = append(types, string(eventType))
	}
	assert.ElementsMatch(t, types, schema("EventType")["enum"])
	assert.Equal(t, keys(envelope["properties"]), keys(schema("Event")["properties"]))
	assert.ElementsMatch(t, envelope["required"], schema("Event")["required"])

	var reply map[string]any
	require.NoError(t, json.Unmarshal(commands.Schema(commands.TokenIssueName+".reply"), &reply))
	result := reply["properties"].(map[string]any)["result"].(map[string]any)
	assert.Equal(t, keys(result["properties"]), keys(schema("Token")["properties"]))
	var request map[string]any
	require.NoError(t, json.Unmarshal(commands.Schema(commands.TokenIssueName+".request"), &request))
	ttl := request["properties"].(map[string]any)["ttlSeconds"].(map[string]any)
	wish := schema("TokenRequest")["properties"].(map[string]any)["ttlSeconds"].(map[string]any)
	assert.Equal(t, fmt.Sprint(ttl["minimum"], " to ", ttl["maximum"]), fmt.Sprint(wish["minimum"], " to ", wish["maximum"]))
}

// TestAnEventIsOneOfTheAPI: each example of the catalogue can be an item of a page.
func TestAnEventIsOneOfTheAPI(t *testing.T) {
	root := document(t)
	page := compile(t, root, "#/components/schemas/EventPage")
	sealed, err := events.Seal(events.DerivedID("a"), events.DerivedID("b"), events.Draft{
		Timestamp: time.Unix(1795422993, 0), Actor: events.Actor{Type: events.ActorProvider, ID: "livekit"},
		Payload: events.CallConnectingPayload{ProviderRoom: events.ProviderRoom{Provider: "livekit", RoomName: "call-1", RoomSID: "RM_1"}},
	})
	require.NoError(t, err)
	text := fmt.Sprintf(`{"items":[%s],"lastEventId":%q,"hasMore":false}`, sealed.JSON(), sealed.Envelope().EventID)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err)
	assert.NoError(t, page.Validate(value))
}

func keys(object any) []string {
	return slices.Sorted(maps.Keys(object.(map[string]any)))
}

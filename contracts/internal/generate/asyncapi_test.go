package generate_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
)

const documentURL = "https://callplane.dev/asyncapi.json"

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	require.IsType(t, map[string]any{}, document)
	return document.(map[string]any)
}

func asyncapi(t *testing.T) map[string]any { return parse(t, generated(t)["asyncapi/asyncapi.json"]) }

// at returns what a JSON pointer leads to in a document; names with a slash don't occur.
func at(t *testing.T, document map[string]any, pointer string) map[string]any {
	t.Helper()
	node := document
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		child, ok := node[token].(map[string]any)
		require.True(t, ok, "%s leads nowhere", pointer)
		node = child
	}
	return node
}

// compile compiles the schema at a pointer into a document of draft 7, formats asserted.
func compile(t *testing.T, document map[string]any, pointer string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource(documentURL, document))
	compiled, err := compiler.Compile(documentURL + pointer)
	require.NoError(t, err, pointer)
	return compiled
}

// TestDocumentIsValidAsyncAPI holds the document to the schema that the AsyncAPI Initiative publishes.
func TestDocumentIsValidAsyncAPI(t *testing.T) {
	official, err := os.ReadFile("testdata/asyncapi-3.0.0.json")
	require.NoError(t, err)
	compiled := compile(t, parse(t, official), "#")
	document := asyncapi(t)
	require.NoError(t, compiled.Validate(document))

	at(t, document, "#/operations/receiveEvents")["action"] = "listen"
	assert.Error(t, compiled.Validate(document), "the official schema refuses what is wrong")
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	document := asyncapi(t)
	found := 0
	var visit func(node any)
	visit = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if reference, ok := node["$ref"].(string); ok {
				at(t, document, reference)
				assert.Len(t, node, 1, "older readers pass over what is beside %s", reference)
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
	visit(document)
	assert.Greater(t, found, 100)
}

// TestBundledSchemasJudgeAsThePublished: what the document says of an event takes the valid examples of its type and refuses the invalid.
func TestBundledSchemasJudgeAsThePublished(t *testing.T) {
	document := asyncapi(t)
	for _, eventType := range events.Types() {
		t.Run(string(eventType), func(t *testing.T) {
			compiled := compile(t, document, "#/components/schemas/"+string(eventType))
			paths, err := filepath.Glob(filepath.Join(module, "events", "examples", string(eventType), "*.json"))
			require.NoError(t, err)
			require.Greater(t, len(paths), 1)
			for _, path := range paths {
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				if err = compiled.Validate(parse(t, text)); strings.HasPrefix(filepath.Base(path), "valid") {
					assert.NoError(t, err, path)
				} else {
					assert.Error(t, err, path)
				}
			}
		})
	}
}

// TestBundledCommandsJudgeAsThePublished does the same with the examples of commands, all of which are valid.
func TestBundledCommandsJudgeAsThePublished(t *testing.T) {
	document := asyncapi(t)
	paths, err := filepath.Glob(filepath.Join(module, "commands", "examples", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "-")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		example := parse(t, text)
		compiled := compile(t, document, "#/components/schemas/"+name)
		require.NoError(t, compiled.Validate(example), path)
		delete(example, "commandId")
		assert.Error(t, compiled.Validate(example), path)
	}
}

// TestOperationsSayWhoSendsWhat holds the operations to the rule by which consumers accept.
func TestOperationsSayWhoSendsWhat(t *testing.T) {
	document := asyncapi(t)
	sent := map[string]bool{}
	for name, operation := range at(t, document, "#/operations") {
		operation := operation.(map[string]any)
		user := senderOf(operation)
		if user == "" {
			continue
		}
		assert.Equal(t, "send", operation["action"], name)
		var messages []string
		for _, message := range operation["messages"].([]any) {
			reference := message.(map[string]any)["$ref"].(string)
			messages = append(messages, reference[strings.LastIndex(reference, "/")+1:])
		}
		for _, eventType := range events.Types() {
			assert.Equal(t, events.MaySend(user, eventType), slices.Contains(messages, string(eventType)), "%s by %s", eventType, user)
			sent[string(eventType)] = sent[string(eventType)] || slices.Contains(messages, string(eventType))
		}
	}
	for _, eventType := range events.Types() {
		assert.True(t, sent[string(eventType)], "nobody sends %s", eventType)
	}
	assert.Len(t, at(t, document, "#/channels/events/messages"), len(events.Types()))
}

func senderOf(operation map[string]any) string {
	bindings, _ := operation["bindings"].(map[string]any)
	amqp, _ := bindings["amqp"].(map[string]any)
	user, _ := amqp["userId"].(string)
	return user
}

// TestChannelsAreTheTopologys: every queue and every exchange that takes messages from a client is described.
func TestChannelsAreTheTopologys(t *testing.T) {
	var described []string
	for _, channel := range at(t, asyncapi(t), "#/channels") {
		channel := channel.(map[string]any)
		if address, ok := channel["address"].(string); ok {
			described = append(described, strings.Replace(address, "{partition}", "0", 1))
		}
		described = append(described, channel["title"].(string))
		bindings, _ := channel["bindings"].(map[string]any)
		amqp, _ := bindings["amqp"].(map[string]any)
		exchange, _ := amqp["exchange"].(map[string]any)
		if name, ok := exchange["name"].(string); ok {
			described = append(described, name)
		}
	}
	shared := topology.Shared(topology.MinPartitions)
	for _, queue := range shared.Queues {
		assert.Contains(t, described, queue.Name)
	}
	for _, exchange := range shared.Exchanges {
		if !exchange.Internal {
			assert.Contains(t, described, exchange.Name)
		}
	}
}

package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// payloads is written apart from the catalogue, so that a slip in either shows.
var payloads = []events.Payload{
	events.CallCreatedPayload{}, events.CallUpdatedPayload{}, events.CallEndedPayload{}, events.CallFailedPayload{},
	events.CallMemberAddedPayload{}, events.CallMemberUpdatedPayload{}, events.CallMemberRemovedPayload{},
	events.CallConnectingPayload{}, events.CallConnectedPayload{}, events.CallReconnectingPayload{},
	events.CallReconnectedPayload{}, events.CallDisconnectedPayload{}, events.CallParticipantJoinedPayload{},
	events.CallParticipantReconnectingPayload{}, events.CallParticipantReconnectedPayload{},
	events.CallParticipantLeftPayload{}, events.CallTrackPublishedPayload{}, events.CallTrackUnpublishedPayload{},
	events.CallErrorPayload{},
	events.TranscriptPartialPayload{}, events.TranscriptFinalPayload{}, events.OrchestrationActionRequestedPayload{},
	events.ActionProposedPayload{}, events.ActionRequiresConfirmationPayload{}, events.ActionExecutedPayload{},
	events.ActionFailedPayload{}, events.SafetyBlockedPayload{}, events.SafetyApprovedPayload{},
	events.UsageTickPayload{}, events.UsageWarningPayload{}, events.UsageStoppedPayload{},
	events.BillingUsageRecordedPayload{}, events.BillingAdjustmentCreatedPayload{},
}

func TestEveryTypeHasOnePayload(t *testing.T) {
	var types []events.Type
	for _, payload := range payloads {
		types = append(types, payload.EventType())
	}
	assert.ElementsMatch(t, events.Types(), types)
}

// TestGoTypesMatchSchemas compares each Go payload with its schema, field by field: the same names,
// the same JSON types, null where the schema has null, absent where the schema allows it.
func TestGoTypesMatchSchemas(t *testing.T) {
	for _, payload := range payloads {
		t.Run(string(payload.EventType()), func(t *testing.T) {
			schema := parse(t, events.Schema(payload.EventType()))
			node := schema["properties"].(map[string]any)["payload"].(map[string]any)
			compareObject(t, reflect.TypeOf(payload), node, "payload")
		})
	}
	envelope := parse(t, events.EnvelopeSchema())
	compareObject(t, reflect.TypeFor[events.Envelope](), envelope, "envelope")
}

func compareObject(t *testing.T, goType reflect.Type, schema map[string]any, path string) {
	t.Helper()
	fields := jsonFields(goType)
	properties := object(schema["properties"])
	assert.ElementsMatch(t, keys(properties), keys(fields), "%s: the fields of %s and of the schema", path, goType)
	required, _ := schema["required"].([]any)
	for name, field := range fields {
		node := object(properties[name])
		if node == nil {
			continue // reported above
		}
		at := path + "." + name
		omits := strings.Contains(field.Tag.Get("json"), "omit")
		assert.Equal(t, !slices.Contains(required, any(name)), omits, "%s: may be absent", at)
		compareValue(t, field.Type, resolve(t, node), at, omits)
	}
}

func compareValue(t *testing.T, goType reflect.Type, schema map[string]any, at string, omits bool) {
	t.Helper()
	nullable := strings.Contains(fmt.Sprint(schema["type"]), "null")
	switch {
	case strings.HasPrefix(goType.Name(), "Optional["):
		assert.True(t, nullable, "%s: Optional is for what may be null", at)
		return
	case goType.Kind() == reflect.Pointer:
		assert.True(t, nullable != omits, "%s: a pointer is for null or for absent", at)
		goType = goType.Elem()
	default:
		assert.False(t, nullable, "%s: null has no Go value", at)
	}
	switch want := goKind(schema); {
	case want == "object" && goType != reflect.TypeFor[json.RawMessage]():
		compareObject(t, goType, schema, at)
	case want == "array":
		require.Equal(t, reflect.Slice, goType.Kind(), at)
		compareValue(t, goType.Elem(), resolve(t, object(schema["items"])), at+"[]", false)
	case want == "instant" && at == "envelope.timestamp":
		assert.Equal(t, reflect.String, goType.Kind(), "%s is kept as it came", at)
	case want == "instant":
		assert.Equal(t, reflect.TypeFor[events.Instant](), goType, at)
	case want == "integer":
		assert.Equal(t, reflect.Int64, goType.Kind(), at)
	case want == "number":
		assert.Equal(t, reflect.Float64, goType.Kind(), at)
	case want == "boolean":
		assert.Equal(t, reflect.Bool, goType.Kind(), at)
	case want == "string":
		assert.Equal(t, reflect.String, goType.Kind(), at)
		if enum, ok := schema["enum"].([]any); ok {
			assert.ElementsMatch(t, enum, constantsOf(t, goType.Name()), "%s: the values of %s", at, goType)
		}
	case want == "object":
	default:
		t.Errorf("%s: no Go type is known to hold %q", at, want)
	}
}

// goKind names what the schema describes, as far as Go can tell it apart.
func goKind(schema map[string]any) string {
	switch kinds := fmt.Sprint(schema["type"]); {
	case schema["format"] == "date-time":
		return "instant"
	case strings.Contains(kinds, "string"), schema["enum"] != nil, schema["const"] != nil:
		return "string"
	default:
		return strings.TrimSuffix(strings.TrimPrefix(kinds, "["), " null]")
	}
}

func resolve(t *testing.T, node map[string]any) map[string]any {
	t.Helper()
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	name := ref[strings.LastIndex(ref, "/")+1:]
	require.Contains(t, sharedForms(), name)
	return object(sharedForms()[name])
}

// sharedForms are the envelope's $defs, read once since the properties ask for them all the time.
var sharedForms = sync.OnceValue(func() map[string]any {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(events.EnvelopeSchema()))
	if err != nil {
		panic(err)
	}
	return object(object(document)["$defs"])
})

func jsonFields(goType reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, field := range reflect.VisibleFields(goType) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); !field.Anonymous {
			fields[name] = field
		}
	}
	return fields
}

func keys[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// constantsOf reads the values of a type's constants from the source, so that one which is added to
// Go alone, or to the schema alone, shows.
func constantsOf(t *testing.T, typeName string) []any {
	t.Helper()
	var values []any
	for _, file := range []string{"vocabulary.go", "envelope.go"} {
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(source, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typeName {
				return true
			}
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			values = append(values, value)
			return true
		})
	}
	return values
}

// TestPayloadsKeepEveryField: what a valid example holds is there again after Go read and wrote it.
func TestPayloadsKeepEveryField(t *testing.T) {
	for _, payload := range payloads {
		for name, text := range examples(t, payload.EventType(), "valid") {
			t.Run(string(payload.EventType())+"/"+name, func(t *testing.T) {
				var envelope events.Envelope
				require.NoError(t, json.Unmarshal(text, &envelope))
				decoded := reflect.New(reflect.TypeOf(payload))
				require.NoError(t, json.Unmarshal(envelope.Payload, decoded.Interface()))

				at, err := envelope.Time()
				require.NoError(t, err)
				sealed, err := events.Seal(envelope.EventID, envelope.SessionID, events.Draft{
					Timestamp: at, Actor: envelope.Actor, Payload: decoded.Elem().Interface().(events.Payload),
				})
				require.NoError(t, err)
				assert.JSONEq(t, string(envelope.Payload), string(sealed.Envelope().Payload))
			})
		}
	}
}

func TestLimitsMatchSchemas(t *testing.T) {
	defs := parse(t, events.EnvelopeSchema())["$defs"].(map[string]any)
	limit := func(def string) int64 { return number(t, defs[def].(map[string]any)["maxLength"]) }
	assert.EqualValues(t, events.MaxTitle, limit("title"))
	assert.EqualValues(t, events.MaxReason, limit("reason"))
	assert.EqualValues(t, events.MaxMessage, limit("message"))
	assert.EqualValues(t, events.MaxSummary, limit("summary"))
	track := object(object(parse(t, events.Schema(events.CallTrackPublished))["properties"])["payload"])
	properties := object(track["properties"])
	assert.EqualValues(t, events.MaxTrackName, number(t, object(properties["name"])["maxLength"]))
	assert.EqualValues(t, events.MaxMimeType, number(t, object(properties["mimeType"])["maxLength"]))
	transcript := object(object(object(parse(t, events.Schema(events.TranscriptFinal))["properties"])["payload"])["properties"])
	assert.EqualValues(t, events.MaxText, number(t, object(transcript["text"])["maxLength"]))
	label := object(object(object(transcript["speaker"])["properties"])["label"])
	assert.EqualValues(t, events.MaxLabel, number(t, label["maxLength"]))
	assert.Contains(t, defs["errorCode"].(map[string]any)["pattern"], fmt.Sprintf("{0,%d}", events.MaxErrorCode-1))
}

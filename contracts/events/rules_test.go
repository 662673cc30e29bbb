package events_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// envelopeExample is the type whose examples also break each rule of the envelope, which is the same
// for all.
const envelopeExample = events.CallMemberAdded

// breach is an event that breaks one rule of its schema.
type breach struct {
	name    string // keyword and place: "pattern-payload.userId"
	pointer string // where the validator finds it
	event   map[string]any
}

// breaker walks a schema along a valid event and makes a breach for each rule that it meets.
type breaker struct {
	t     *testing.T
	defs  map[string]any
	valid map[string]any
	found []breach
}

func payloadRules(t *testing.T, eventType events.Type, valid map[string]any) []breach {
	schema := parse(t, events.Schema(eventType))
	b := newBreaker(t, valid)
	properties := schema["properties"].(map[string]any)
	for field, refined := range properties {
		b.walk(refined.(map[string]any), []string{field})
	}
	return b.found
}

func envelopeRules(t *testing.T, valid map[string]any) []breach {
	b := newBreaker(t, valid)
	envelope := parse(t, events.EnvelopeSchema())
	properties := envelope["properties"].(map[string]any)
	for _, refined := range []string{"type", "version", "payload"} {
		delete(properties, refined)
	}
	delete(envelope, "type") // what isn't an object at all is for the tests of Accept
	b.walk(envelope, nil)
	b.add("type", []string{"payload"}, []any{})
	return b.found
}

func newBreaker(t *testing.T, valid map[string]any) *breaker {
	return &breaker{t: t, defs: parse(t, events.EnvelopeSchema())["$defs"].(map[string]any), valid: valid}
}

// walk makes the breaches of one schema node and of what is within it; path leads to its value.
func (b *breaker) walk(schema map[string]any, path []string) {
	if ref, ok := schema["$ref"].(string); ok {
		name := ref[strings.LastIndex(ref, "/")+1:]
		require.Contains(b.t, b.defs, name)
		b.walk(b.defs[name].(map[string]any), path)
		return
	}
	for keyword, value := range schema {
		b.breakRule(schema, keyword, value, path)
	}
	for name, child := range object(schema["properties"]) {
		b.walk(child.(map[string]any), append(slices.Clone(path), name))
	}
	if items := object(schema["items"]); items != nil {
		b.walk(items, append(slices.Clone(path), "0"))
	}
}

// breakRule makes the breaches of one keyword. An unknown keyword fails, so that no rule goes
// without an example.
func (b *breaker) breakRule(schema map[string]any, keyword string, value any, path []string) {
	switch keyword {
	case "description", "title", "properties", "items", "$id", "$schema", "$defs":
	case "type":
		b.add(keyword, path, wrongType(value))
	case "const":
		b.add(keyword, path, otherConst(path))
	case "enum":
		b.add(keyword, path, "no_such_value")
	case "pattern":
		b.add(keyword, path, breakPattern(schema))
	case "format":
		b.add(keyword, path, "2026-02-30T10:00:00Z")
	case "minimum":
		b.add(keyword, path, number(b.t, value)-1)
	case "maximum":
		b.add(keyword, path, number(b.t, value)+1)
	case "minLength":
		b.add(keyword, path, "")
	case "maxLength":
		b.add(keyword, path, strings.Repeat("x", int(number(b.t, value))+1))
	case "minItems":
		b.add(keyword, path, []any{})
	case "maxItems":
		b.add(keyword, path, manyItems(schema, int(number(b.t, value))+1))
	case "uniqueItems":
		first := lookup(b.t, b.valid, append(slices.Clone(path), "0"))
		b.add(keyword, path, []any{first, first})
	case "minProperties":
		b.add(keyword, path, map[string]any{})
	case "maxProperties":
		b.add(keyword, path, manyProperties(int(number(b.t, value))+1))
	case "additionalProperties":
		require.Equal(b.t, false, value)
		b.change(keyword, path, path, func(parent map[string]any, _ string) { parent["surprise"] = true }, "surprise")
	case "required":
		for _, name := range value.([]any) {
			at := append(slices.Clone(path), name.(string))
			b.change(keyword, at, path, func(parent map[string]any, key string) { delete(parent, key) }, name.(string))
		}
	default:
		b.t.Fatalf("no way is known to break the rule %q at %v", keyword, path)
	}
}

// add makes the breach that has value at path.
func (b *breaker) add(keyword string, path []string, value any) {
	event := clone(b.t, b.valid)
	replace(b.t, event, path, value)
	b.found = append(b.found, breach{name: keyword + "-" + strings.Join(path, "."), pointer: "/" + strings.Join(path, "/"), event: event})
}

// change makes the breach of a rule about the object at holder.
func (b *breaker) change(keyword string, named, holder []string, edit func(map[string]any, string), key string) {
	event := clone(b.t, b.valid)
	parent, ok := lookup(b.t, event, holder).(map[string]any)
	require.True(b.t, ok, "the valid example has no object at %v", holder)
	edit(parent, key)
	name, pointer := keyword, ""
	if len(named) > 0 {
		name += "-" + strings.Join(named, ".")
	}
	if len(holder) > 0 {
		pointer = "/" + strings.Join(holder, "/")
	}
	b.found = append(b.found, breach{name: name, pointer: pointer, event: event})
}

func object(value any) map[string]any {
	found, _ := value.(map[string]any)
	return found
}

func wrongType(want any) any {
	kinds := fmt.Sprint(want)
	switch {
	case strings.Contains(kinds, "string"):
		return 7
	case strings.Contains(kinds, "object"):
		return []any{}
	case strings.Contains(kinds, "integer"):
		return 1.5
	default:
		return "text"
	}
}

// breakPattern returns a string that breaks the schema's pattern and, where there is a format, not
// that: an offset instead of Z.
func breakPattern(schema map[string]any) string {
	if schema["format"] == "date-time" {
		return "2026-11-23T09:36:30+01:00"
	}
	return "Ä B"
}

// otherConst is not what a constant is. For the actor it is one that other types take.
func otherConst(path []string) string {
	if slices.Equal(path, []string{"actor", "type"}) {
		return "user"
	}
	return "no_such_value"
}

// manyItems returns users or members, as the array that schema describes has them.
func manyItems(schema map[string]any, count int) []any {
	items := make([]any, count)
	for i := range items {
		user := "user-" + strconv.Itoa(i)
		items[i] = user
		if object(schema["items"])["type"] == "object" {
			items[i] = map[string]any{"userId": user, "role": "viewer"}
		}
	}
	return items
}

func manyProperties(count int) map[string]any {
	properties := map[string]any{}
	for i := range count {
		properties["field"+strconv.Itoa(i)] = i
	}
	return properties
}

func number(t *testing.T, value any) int64 {
	n, err := value.(json.Number).Int64()
	require.NoError(t, err)
	return n
}

func clone(t *testing.T, event map[string]any) map[string]any {
	text, err := json.Marshal(event)
	require.NoError(t, err)
	return parse(t, text)
}

func lookup(t *testing.T, event map[string]any, path []string) any {
	var value any = event
	for _, token := range path {
		switch container := value.(type) {
		case map[string]any:
			require.Contains(t, container, token, "the valid example has no %v", path)
			value = container[token]
		case []any:
			index, err := strconv.Atoi(token)
			require.NoError(t, err)
			value = container[index]
		}
	}
	return value
}

func replace(t *testing.T, event map[string]any, path []string, value any) {
	last := len(path) - 1
	_ = lookup(t, event, path) // the place must be there
	switch parent := lookup(t, event, path[:last]).(type) {
	case map[string]any:
		parent[path[last]] = value
	case []any:
		index, err := strconv.Atoi(path[last])
		require.NoError(t, err)
		parent[index] = value
	default:
		t.Fatalf("nothing to replace at %v", path)
	}
}

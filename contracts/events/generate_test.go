package events_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
)

// payloadsOf generates payloads from the schema alone, so that a form which the schema has and Go has
// not is drawn sooner or later.
func payloadsOf(t *testing.T, eventType events.Type) *rapid.Generator[map[string]any] {
	schema := object(object(parse(t, events.Schema(eventType))["properties"])["payload"])
	defs := object(parse(t, events.EnvelopeSchema())["$defs"])
	return rapid.Custom(func(r *rapid.T) map[string]any {
		return object(drawer{t, r, defs}.draw(schema, "payload"))
	})
}

// drawer draws values that a schema takes.
type drawer struct {
	t    *testing.T
	r    *rapid.T
	defs map[string]any
}

func (d drawer) draw(schema map[string]any, at string) any {
	if ref, ok := schema["$ref"].(string); ok {
		return d.draw(object(d.defs[ref[strings.LastIndex(ref, "/")+1:]]), at)
	}
	if value, ok := schema["const"]; ok {
		return value
	}
	if values, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(values).Draw(d.r, at)
	}
	kinds := fmt.Sprint(schema["type"])
	if strings.Contains(kinds, "null") && rapid.Bool().Draw(d.r, at+" is null") {
		return nil
	}
	switch strings.TrimSuffix(strings.TrimPrefix(kinds, "["), " null]") {
	case "object":
		return d.object(schema, at)
	case "array":
		count := rapid.IntRange(int(number(d.t, schema["minItems"])), 4).Draw(d.r, at+" length")
		items := make([]any, count)
		for i := range items {
			items[i] = d.draw(object(schema["items"]), fmt.Sprintf("%s.%d", at, i))
			if schema["uniqueItems"] == true {
				items[i] = fmt.Sprintf("%d-%.100s", i, items[i])
			}
		}
		return items
	case "string":
		return d.text(schema, at)
	case "integer":
		low, high := number(d.t, schema["minimum"]), number(d.t, schema["maximum"])
		return rapid.Int64Range(low, high).Draw(d.r, at)
	case "number":
		return rapid.Float64Range(0, 1).Draw(d.r, at)
	case "boolean":
		return rapid.Bool().Draw(d.r, at)
	}
	d.t.Fatalf("%s: no way is known to draw %s", at, kinds)
	return nil
}

// object draws an object with what must be there, and some of what may be; where nothing is named it
// draws an open one.
func (d drawer) object(schema map[string]any, at string) map[string]any {
	drawn := map[string]any{}
	properties := object(schema["properties"])
	if properties == nil {
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching("[a-z]{1,8}"), 0, 4, rapid.ID).Draw(d.r, at+" names") {
			drawn[name] = anything().Draw(d.r, at+"."+name)
		}
		return drawn
	}
	required, _ := schema["required"].([]any)
	names := slices.Sorted(maps.Keys(properties))
	for i, name := range names {
		last := len(drawn) == 0 && i == len(names)-1 // at least one, as minProperties asks
		if last || slices.Contains(required, any(name)) || rapid.Bool().Draw(d.r, at+"."+name+" is there") {
			drawn[name] = d.draw(object(properties[name]), at+"."+name)
		}
	}
	return drawn
}

func (d drawer) text(schema map[string]any, at string) string {
	if schema["format"] == "date-time" {
		nanoseconds := rapid.Int64Range(0, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()).Draw(d.r, at)
		return time.Unix(0, nanoseconds).UTC().Format(time.RFC3339Nano)
	}
	limit := 32
	if schema["maxLength"] != nil {
		limit = min(limit, int(number(d.t, schema["maxLength"])))
	}
	if pattern, ok := schema["pattern"].(string); ok {
		return rapid.StringMatching(pattern).Filter(func(s string) bool {
			return schema["maxLength"] == nil || utf8.RuneCountInString(s) <= int(number(d.t, schema["maxLength"]))
		}).Draw(d.r, at)
	}
	low := 0
	if schema["minLength"] != nil {
		low = int(number(d.t, schema["minLength"]))
	}
	return rapid.StringOfN(rapid.RuneFrom([]rune("aä€😀<&>\"\\ \n\u2028")), low, limit, -1).Draw(d.r, at)
}

// anything generates JSON that no schema describes.
func anything() *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](map[string]any{}), rapid.Just[any]([]any{}),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.StringN(0, 16, -1), func(s string) any { return events.Bounded(s, 16) }),
		rapid.Map(rapid.SampledFrom([]string{"1.10", "12345678901234567890", "1e400", "-0.0"}), func(s string) any { return json.Number(s) }),
	)
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(leaf, 0, 3), func(list []any) any { return list }),
		rapid.Map(leaf, func(value any) any { return map[string]any{"within": value} }),
	)
}

// rawPayload is a payload as it was drawn.
type rawPayload struct {
	eventType events.Type
	text      json.RawMessage
}

func (p rawPayload) EventType() events.Type { return p.eventType }

func (p rawPayload) MarshalJSON() ([]byte, error) { return p.text, nil }

func encoded(t require.TestingT, value any) []byte {
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}

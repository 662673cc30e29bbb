package apitest

import (
	"encoding/json"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// value draws one that a schema, with its references followed, allows. Of what JSON Schema can say it knows what the document uses.
func value(t *rapid.T, schema map[string]any, at string) any {
	if constant, ok := schema["const"]; ok {
		return constant
	}
	if choices, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(choices).Draw(t, at)
	}
	for _, several := range []string{"oneOf", "anyOf"} {
		if choices, ok := schema[several].([]any); ok {
			i := rapid.IntRange(0, len(choices)-1).Draw(t, at+" "+several)
			return value(t, merged(without(schema, several), object(choices[i])), at)
		}
	}
	switch kind := kindOf(t, schema, at); kind {
	case "null":
		return nil
	case "boolean":
		return rapid.Bool().Draw(t, at)
	case "integer":
		return rapid.Int64Range(whole(schema, "minimum", -1_000_000), whole(schema, "maximum", 1_000_000)).Draw(t, at)
	case "number":
		return rapid.Float64Range(float64(whole(schema, "minimum", -1_000_000)), float64(whole(schema, "maximum", 1_000_000))).Draw(t, at)
	case "string":
		return text(t, schema, at)
	case "array":
		return array(t, schema, at)
	default:
		return members(t, schema, at)
	}
}

// kindOf draws one of the schema's types.
func kindOf(t *rapid.T, schema map[string]any, at string) string {
	switch kind := schema["type"].(type) {
	case string:
		return kind
	case []any:
		name, _ := rapid.SampledFrom(kind).Draw(t, at+" type").(string)
		return name
	}
	return "object"
}

func text(t *rapid.T, schema map[string]any, at string) string {
	switch schema["format"] {
	case "uuid":
		return rapid.StringMatching(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).Draw(t, at)
	case "date-time":
		return rapid.StringMatching(`^20[2-3][0-9]-0[1-9]-[0-2][1-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$`).Draw(t, at)
	}
	if pattern, ok := schema["pattern"].(string); ok {
		return rapid.StringMatching(pattern).Draw(t, at)
	}
	least, most := int(whole(schema, "minLength", 0)), int(whole(schema, "maxLength", 40))
	length := rapid.SampledFrom([]int{least, most, min(most, least+1), min(most, least+7)}).Draw(t, at+" length")
	letters := []rune("aZ09 -_.,:;/\\\"'<>&%+?#{}[]äß€漢😀\u2028\u0301\t\n\u007f")
	return rapid.StringOfN(rapid.SampledFrom(letters), length, length, -1).Draw(t, at)
}

func array(t *rapid.T, schema map[string]any, at string) []any {
	least, most := int(whole(schema, "minItems", 0)), int(whole(schema, "maxItems", 4))
	items := make([]any, rapid.IntRange(least, min(most, least+4)).Draw(t, at+" items"))
	for i := range items {
		items[i] = value(t, object(schema["items"]), at+"/"+string(rune('0'+i)))
	}
	return items
}

// members draws an object: what is required, and of the rest some. What a member requires of others (dependentSchemas) comes with it.
func members(t *rapid.T, schema map[string]any, at string) map[string]any {
	properties := object(schema["properties"])
	if len(properties) == 0 && schema["additionalProperties"] != false {
		return free(t, at, 3)
	}
	var names []string
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	required, _ := schema["required"].([]any)
	chosen := map[string]bool{}
	for _, name := range names {
		chosen[name] = slices.Contains(required, any(name)) || rapid.Bool().Draw(t, at+" has "+name)
	}
	properties = merged(properties, nil)
	for name, more := range object(schema["dependentSchemas"]) {
		if !chosen[name] {
			continue
		}
		also, _ := object(more)["required"].([]any)
		for _, needed := range also {
			if other, ok := needed.(string); ok {
				chosen[other] = true
			}
		}
		for needed, narrower := range object(object(more)["properties"]) {
			properties[needed] = merged(object(properties[needed]), object(narrower))
		}
	}
	drawn := map[string]any{}
	for _, name := range names {
		if chosen[name] {
			drawn[name] = value(t, object(properties[name]), at+"/"+name)
		}
	}
	return drawn
}

// free draws an object of the caller's own.
func free(t *rapid.T, at string, depth int) map[string]any {
	drawn := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, at+" size") {
		drawn[rapid.StringN(0, 8, 32).Filter(clean).Draw(t, at+" name")] = anything(t, at, depth-1)
	}
	return drawn
}

func anything(t *rapid.T, at string, depth int) any {
	switch kind := rapid.IntRange(0, 6).Draw(t, at+" kind"); {
	case kind == 0:
		return nil
	case kind == 1:
		return rapid.Bool().Draw(t, at)
	case kind == 2:
		return rapid.Int64().Draw(t, at)
	case kind == 3:
		return rapid.Float64Range(-1e300, 1e300).Filter(func(f float64) bool { return f == 0 || f > 1e-300 || f < -1e-300 }).Draw(t, at)
	case kind == 4 && depth > 0:
		return free(t, at, depth)
	case kind == 5 && depth > 0:
		return []any{anything(t, at, depth-1), anything(t, at, depth-1)}
	}
	return rapid.StringN(0, 16, 64).Filter(clean).Draw(t, at)
}

// clean leaves out NUL, which no string of a request may hold.
func clean(text string) bool { return !strings.ContainsRune(text, 0) }

// merged is a schema that says what both say; where both speak of the same, the second one's counts.
func merged(first, second map[string]any) map[string]any {
	both := map[string]any{}
	for _, schema := range []map[string]any{first, second} {
		for name, said := range schema {
			both[name] = said
		}
	}
	return both
}

func without(schema map[string]any, name string) map[string]any {
	rest := merged(schema, nil)
	delete(rest, name)
	return rest
}

func object(value any) map[string]any {
	members, _ := value.(map[string]any)
	return members
}

func whole(schema map[string]any, name string, otherwise int64) int64 {
	if number, ok := schema[name].(json.Number); ok {
		if n, err := number.Int64(); err == nil {
			return n
		}
	}
	return otherwise
}

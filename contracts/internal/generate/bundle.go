package generate

import (
	"fmt"
	"slices"
	"strings"
)

// asyncKeywords are those that mean the same in JSON Schema 2020-12, in which the schemas are written, and in draft 7, on which the schemas
// of AsyncAPI are built.
var asyncKeywords = []string{
	"$ref", "title", "description", "type", "enum", "const", "required", "properties", "additionalProperties", "patternProperties",
	"propertyNames", "minProperties", "maxProperties", "items", "minItems", "maxItems", "uniqueItems", "contains", "minLength", "maxLength",
	"pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "allOf", "anyOf", "oneOf", "not", "if",
	"then", "else",
}

// named are the keywords under which names of fields stand, not keywords.
var named = []string{"properties", "patternProperties"}

// bundle rewrites a schema for components.schemas: references lead there, and stand alone, as older readers pass over what is beside them.
func bundle(node *object) (*object, error) {
	written := fields()
	for _, keyword := range node.without("$schema", "$id", "$defs").names {
		if !slices.Contains(asyncKeywords, keyword) {
			return nil, fmt.Errorf("AsyncAPI's schemas have no %s", keyword)
		}
		value, err := bundleValue(keyword, node.values[keyword])
		if err != nil {
			return nil, err
		}
		written.set(keyword, value)
	}
	reference := node.text("$ref")
	if reference == "" {
		return written, nil
	}
	_, name, ok := strings.Cut(reference, "#/$defs/")
	if !ok {
		return nil, fmt.Errorf("%s leads to no shared definition", reference)
	}
	target := ref("components/schemas/" + name)
	if rest := written.without("$ref"); len(rest.names) > 0 {
		both := fields("allOf", append([]any{target}, rest.list("allOf")...))
		for _, keyword := range rest.without("allOf").names {
			both.set(keyword, rest.values[keyword])
		}
		return both, nil
	}
	return target, nil
}

func bundleValue(keyword string, value any) (any, error) {
	switch value := value.(type) {
	case *object:
		if !slices.Contains(named, keyword) {
			return bundle(value)
		}
		written := fields()
		for _, name := range value.names {
			child, err := bundleValue("", value.values[name])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			written.set(name, child)
		}
		return written, nil
	case []any:
		written := make([]any, len(value))
		for i, one := range value {
			child, err := bundleValue("", one)
			if err != nil {
				return nil, err
			}
			written[i] = child
		}
		return written, nil
	default:
		return value, nil
	}
}

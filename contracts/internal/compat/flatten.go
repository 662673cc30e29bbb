package compat

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// annotations say something to people and nothing to a validator.
var annotations = []string{"$id", "$schema", "$defs", "$comment", "title", "description", "examples", "default", "deprecated"}

// flattener writes schemas without references, so that a rule counts the same wherever it is written.
type flattener struct {
	set  Set
	path []string // the references that it is within
}

// flat returns a type's whole schema, envelope included, with all references followed and annotations left out.
func (s Set) flat(eventType string) (map[string]any, error) {
	file := eventType + ".json"
	f := &flattener{set: s}
	return f.object(file, s[file])
}

func (f *flattener) object(file string, node map[string]any) (map[string]any, error) {
	own := map[string]any{}
	for keyword, value := range node {
		if keyword == "$ref" || slices.Contains(annotations, keyword) {
			continue
		}
		if keyword == "const" || keyword == "enum" {
			own[keyword] = value
			continue
		}
		flat, err := f.value(file, keyword, value)
		if err != nil {
			return nil, err
		}
		own[keyword] = flat
	}
	if constant, ok := own["const"]; ok {
		delete(own, "const")
		own["enum"] = []any{constant}
	}
	reference, ok := node["$ref"].(string)
	if !ok {
		return own, nil
	}
	if slices.Contains(f.path, reference) {
		return nil, fmt.Errorf("%s refers to itself, which the comparison does not follow", reference)
	}
	f.path = append(f.path, reference)
	defer func() { f.path = f.path[:len(f.path)-1] }()
	targetFile, target, err := f.set.target(file, reference)
	if err != nil {
		return nil, err
	}
	base, err := f.object(targetFile, target)
	if err != nil {
		return nil, err
	}
	return merge(base, own), nil
}

// value flattens what stands under a keyword. The names under properties and the like are no keywords.
func (f *flattener) value(file, keyword string, value any) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		if keyword != "properties" && keyword != "patternProperties" && keyword != "dependentSchemas" {
			return f.object(file, value)
		}
		flat := map[string]any{}
		for name, child := range value {
			var err error
			if flat[name], err = f.value(file, "", child); err != nil {
				return nil, err
			}
		}
		return flat, nil
	case []any:
		flat := make([]any, len(value))
		for i, child := range value {
			var err error
			if flat[i], err = f.value(file, "", child); err != nil {
				return nil, err
			}
		}
		return flat, nil
	default:
		return value, nil
	}
}

// merge joins two schemas that both hold. Properties are joined name by name; two different rules under one keyword are kept beside each
// other.
func merge(base, more map[string]any) map[string]any {
	joined := maps.Clone(base)
	for keyword, value := range more {
		before, both := joined[keyword]
		switch {
		case !both || same(before, value):
			joined[keyword] = value
		case keyword == "properties":
			joined[keyword] = mergeProperties(before, value)
		case keyword == "required":
			joined[keyword] = union(before, value)
		default:
			all, _ := joined["allOf"].([]any)
			joined["allOf"] = append(slices.Clone(all), map[string]any{keyword: value})
		}
	}
	return joined
}

func mergeProperties(base, more any) map[string]any {
	joined := maps.Clone(object(base))
	for name, property := range object(more) {
		before, both := joined[name]
		switch {
		case !both:
			joined[name] = property
		case object(before) == nil || object(property) == nil: // true or false, which are schemas too
			joined[name] = map[string]any{"allOf": []any{before, property}}
		default:
			joined[name] = merge(object(before), object(property))
		}
	}
	return joined
}

func union(base, more any) []any {
	joined := slices.Clone(list(base))
	for _, value := range list(more) {
		if !slices.Contains(joined, value) {
			joined = append(joined, value)
		}
	}
	return joined
}

func object(value any) map[string]any {
	found, _ := value.(map[string]any)
	return found
}

func list(value any) []any {
	found, _ := value.([]any)
	return found
}

// same says whether two JSON values are equal. Both were read by the same reader, and maps are written sorted.
func same(a, b any) bool {
	left, leftErr := json.Marshal(a)
	right, rightErr := json.Marshal(b)
	return leftErr == nil && rightErr == nil && string(left) == string(right)
}

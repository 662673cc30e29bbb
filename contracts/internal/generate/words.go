package generate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// structural keywords are told by the shape of what is written, and annotations are told as they are.
var structural = []string{
	"$ref", "$schema", "$id", "$defs", "title", "description", "type", "properties", "required", "additionalProperties", "items",
}

// ranges are the keywords that bound the same thing from both sides, and what they count.
var ranges = []struct{ low, high, unit string }{
	{"minimum", "maximum", ""},
	{"minLength", "maxLength", " characters"},
	{"minItems", "maxItems", " items"},
	{"minProperties", "maxProperties", " fields"},
}

// rules tells in words what a resolved schema asks of a value, beside its type. A keyword without words of its own is quoted, so that
// nothing is left out.
func rules(node *object) ([]string, error) {
	var told []string
	for _, r := range ranges {
		low, high := node.values[r.low], node.values[r.high]
		switch {
		case low != nil && high != nil:
			told = append(told, fmt.Sprintf("%v to %v%s", low, high, r.unit))
		case low != nil:
			told = append(told, fmt.Sprintf("at least %v%s", low, unit(low, r.unit)))
		case high != nil:
			told = append(told, fmt.Sprintf("at most %v%s", high, unit(high, r.unit)))
		}
	}
	for _, keyword := range node.names {
		if slices.Contains(structural, keyword) || isRange(keyword) {
			continue
		}
		words, err := rule(node, keyword)
		if err != nil {
			return nil, err
		}
		told = append(told, words)
	}
	return told, nil
}

// rule tells in words what one keyword asks.
func rule(node *object, keyword string) (string, error) {
	value := node.values[keyword]
	quoted, err := encode(value)
	if err != nil {
		return "", err
	}
	switch {
	case keyword == "pattern":
		return fmt.Sprintf("matches `%v`", value), nil
	case keyword == "format":
		return fmt.Sprintf("format %v", value), nil
	case keyword == "uniqueItems" && value == true:
		return "no item twice", nil
	case keyword == "const":
		return fmt.Sprintf("always `%s`", quoted), nil
	case keyword == "enum":
		return "one of " + quotedList(node.list(keyword)), nil
	default:
		return fmt.Sprintf("%s `%s`", keyword, quoted), nil
	}
}

// unit is what is counted, in the singular for one.
func unit(count any, units string) string {
	if fmt.Sprint(count) == "1" {
		return strings.TrimSuffix(units, "s")
	}
	return units
}

func isRange(keyword string) bool {
	for _, r := range ranges {
		if keyword == r.low || keyword == r.high {
			return true
		}
	}
	return false
}

func quotedList(values []any) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("`%v`", value)
	}
	return strings.Join(quoted, ", ")
}

// kinds are the JSON types that a resolved schema lets a value be; none where it says nothing.
func kinds(node *object) []string {
	if one := node.text("type"); one != "" {
		return []string{one}
	}
	var all []string
	for _, kind := range node.list("type") {
		all = append(all, fmt.Sprint(kind))
	}
	if len(all) > 0 {
		return all
	}
	for _, value := range append(node.list("enum"), node.values["const"]) {
		if kind := kindOf(value); kind != "" && !slices.Contains(all, kind) {
			all = append(all, kind)
		}
	}
	return all
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case json.Number:
		return "number"
	case bool:
		return "boolean"
	default:
		return ""
	}
}

package compat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// differ walks two flat schemas of one type and keeps what it finds.
type differ struct {
	eventType string
	breaks    []Break
	added     []string // the paths of new optional fields
}

// place is where in an event a schema holds.
type place struct {
	path    string
	payload bool // the payload or within it, where a newer minor version may have more fields
}

func (p place) field(name string) place {
	path := name
	if p.path != "" {
		path = p.path + "." + name
	}
	return place{path: path, payload: p.payload || path == "payload"}
}

func (p place) items() place { return place{path: p.path + "[]", payload: p.payload} }

func compareBreaks(a, b Break) int {
	return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Why, b.Why))
}

func (d *differ) report(field string, kind Kind, why string) {
	d.breaks = append(d.breaks, Break{Type: d.eventType, Field: field, Kind: kind, Why: why})
}

// The keywords that bound a number, a length or a count.
var (
	upperBounds = []string{"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"}
	lowerBounds = []string{"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"}
)

// schema compares keyword by keyword. One that it does not know is compared as a whole, so that nothing changes unseen.
func (d *differ) schema(at place, before, after map[string]any) {
	keywords := maps.Clone(before)
	maps.Copy(keywords, after)
	for _, keyword := range slices.Sorted(maps.Keys(keywords)) {
		was, is := before[keyword], after[keyword]
		switch {
		case keyword == "properties":
			d.properties(at, before, after)
		case keyword == "required":
			d.required(at, before, after)
		case same(was, is):
		case keyword == "type":
			d.types(at, was, is)
		case keyword == "enum":
			d.values(at, was, is)
		case keyword == "items" && object(was) != nil && object(is) != nil:
			d.schema(at.items(), object(was), object(is))
		case slices.Contains(upperBounds, keyword):
			d.bound(at, keyword, was, is, 1)
		case slices.Contains(lowerBounds, keyword):
			d.bound(at, keyword, was, is, -1)
		default:
			d.other(at, keyword, was, is)
		}
	}
}

func (d *differ) properties(at place, before, after map[string]any) {
	was, is := object(before["properties"]), object(after["properties"])
	for _, name := range slices.Sorted(maps.Keys(was)) {
		field := at.field(name)
		switch now, still := is[name]; {
		case !still:
			d.report(field.path, Removed, "the field is no longer there")
		case object(was[name]) != nil && object(now) != nil:
			d.schema(field, object(was[name]), object(now))
		case !same(was[name], now):
			d.report(field.path, Retyped, "the field has another schema")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, known := was[name]; !known {
			d.newField(at, name, before, after)
		}
	}
}

// newField judges a field that the release does not have. Required ones are told of by required.
func (d *differ) newField(at place, name string, before, after map[string]any) {
	field := at.field(name).path
	alike := slices.IndexFunc(slices.Collect(maps.Keys(object(before["properties"]))), func(known string) bool {
		return strings.EqualFold(known, name)
	}) >= 0
	switch {
	case slices.Contains(list(after["required"]), any(name)):
	case !at.payload:
		d.report(field, Widened, "only payloads may have a new field")
	case alike:
		d.report(field, Widened, "the name differs from that of a known field by case alone, which readers refuse")
	case before["additionalProperties"] != false:
		d.report(field, Narrowed, "whatever stood under this name was taken")
	default:
		d.added = append(d.added, field)
	}
}

func (d *differ) required(at place, before, after map[string]any) {
	was, is := list(before["required"]), list(after["required"])
	for _, name := range is {
		if !slices.Contains(was, name) {
			d.report(at.field(fmt.Sprint(name)).path, Required, "whoever sends the released version may leave it out")
		}
	}
	for _, name := range was {
		_, there := object(after["properties"])[fmt.Sprint(name)]
		if there && !slices.Contains(is, name) {
			d.report(at.field(fmt.Sprint(name)).path, Widened, "whoever reads the released version expects it always")
		}
	}
}

func (d *differ) types(at place, was, is any) {
	before, after := types(was), types(is)
	gone, come := without(before, after), without(after, before)
	switch {
	case len(gone) == 0 && len(come) == 0:
	case was == nil:
		d.report(at.path, Narrowed, fmt.Sprintf("it was of any type and must be %v now", after))
	case is == nil:
		d.report(at.path, Widened, fmt.Sprintf("it was %v and may be of any type now", before))
	case len(come) == 0:
		d.report(at.path, Narrowed, fmt.Sprintf("it may not be %v any more", gone))
	case len(gone) == 0:
		d.report(at.path, Widened, fmt.Sprintf("it may be %v now", come))
	default:
		d.report(at.path, Retyped, fmt.Sprintf("it was %v and is %v now", before, after))
	}
}

func types(value any) []any {
	if one, ok := value.(string); ok {
		return []any{one}
	}
	return list(value)
}

func (d *differ) values(at place, was, is any) {
	gone, come := without(list(was), list(is)), without(list(is), list(was))
	switch {
	case was == nil:
		d.report(at.path, Narrowed, fmt.Sprintf("it must be one of %v now", is))
		return
	case is == nil:
		d.report(at.path, Widened, fmt.Sprintf("it need not be one of %v any more", was))
		return
	}
	if len(gone) > 0 {
		d.report(at.path, Narrowed, fmt.Sprintf("it may not be %v any more", gone))
	}
	if len(come) > 0 {
		d.report(at.path, Widened, fmt.Sprintf("it may be %v now, which readers of the released version do not know", come))
	}
}

// without returns the values that are not among the others.
func without(values, others []any) []any {
	return slices.DeleteFunc(slices.Clone(values), func(value any) bool {
		return slices.ContainsFunc(others, func(other any) bool { return same(value, other) })
	})
}

// bound compares a bound; outward is 1 for one that takes more when it is higher, -1 for one that takes less.
func (d *differ) bound(at place, keyword string, was, is any, outward int) {
	if was == nil || is == nil {
		d.other(at, keyword, was, is)
		return
	}
	before, ok := rational(was)
	after, alsoOK := rational(is)
	if !ok || !alsoOK {
		d.other(at, keyword, was, is)
		return
	}
	switch after.Cmp(before) * outward {
	case 1:
		d.report(at.path, Widened, fmt.Sprintf("%s was %v and is %v now", keyword, was, is))
	case -1:
		d.report(at.path, Narrowed, fmt.Sprintf("%s was %v and is %v now", keyword, was, is))
	}
}

func rational(value any) (*big.Rat, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return nil, false
	}
	return new(big.Rat).SetString(number.String())
}

func (d *differ) other(at place, keyword string, was, is any) {
	switch {
	case was == nil:
		d.report(at.path, Narrowed, fmt.Sprintf("it has a rule that was not there: %s", keyword))
	case is == nil:
		d.report(at.path, Widened, fmt.Sprintf("the rule %s is no longer there", keyword))
	default:
		d.report(at.path, Narrowed, fmt.Sprintf("the rule %s is another", keyword))
	}
}

package compat

import (
	"fmt"
	"slices"
)

// Kind says what a change does to those who were built on the last release.
type Kind string

// The kinds of changes that are not let through.
const (
	Removed     Kind = "removed"     // a type or a field is no longer there
	Retyped     Kind = "retyped"     // a field is of another type
	Required    Kind = "required"    // what was optional or unknown must be there now
	Narrowed    Kind = "narrowed"    // values that were taken are not taken any more
	Widened     Kind = "widened"     // values may come that nobody expects
	Unversioned Kind = "unversioned" // a change that is allowed, under a version that does not tell of it
)

// Break is one change that a release must not bring.
type Break struct {
	Type  string // the event's type
	Field string // the path to it, such as payload.members[].role; "" for the type as a whole
	Kind  Kind
	Why   string
}

// String tells the break in a line.
func (b Break) String() string {
	where := b.Type
	if b.Field != "" {
		where += " " + b.Field
	}
	return fmt.Sprintf("%s: %s: %s", where, b.Kind, b.Why)
}

// Compare returns what current breaks of released, in a fixed order: each change that is more than a new optional field of a payload,
// unless the type has a new major version, and each new field under the old minor version. An error says that the sets can't be compared.
func Compare(released, current Set) ([]Break, error) {
	var breaks []Break
	for _, eventType := range released.types() {
		if current[eventType+".json"] == nil {
			breaks = append(breaks, Break{Type: eventType, Kind: Removed, Why: "the type is no longer in the catalogue"})
			continue
		}
		found, err := compareType(released, current, eventType)
		if err != nil {
			return nil, fmt.Errorf("comparing %s with its release: %w", eventType, err)
		}
		breaks = append(breaks, found...)
	}
	return breaks, nil
}

func compareType(released, current Set, eventType string) ([]Break, error) {
	wasMajor, wasMinor, err := released.version(eventType)
	if err != nil {
		return nil, err
	}
	major, minor, err := current.version(eventType)
	if err != nil {
		return nil, err
	}
	if major > wasMajor {
		return nil, nil
	}
	if major < wasMajor || minor < wasMinor {
		why := fmt.Sprintf("%d.%d was released, and versions never go back to %d.%d", wasMajor, wasMinor, major, minor)
		return []Break{{Type: eventType, Field: "version", Kind: Unversioned, Why: why}}, nil
	}
	before, err := released.flat(eventType)
	if err != nil {
		return nil, err
	}
	after, err := current.flat(eventType)
	if err != nil {
		return nil, err
	}
	// The versions were compared as what they are.
	delete(object(before["properties"]), "version")
	delete(object(after["properties"]), "version")
	d := &differ{eventType: eventType}
	d.schema(place{}, before, after)
	if minor == wasMinor {
		for _, field := range d.added {
			d.report(field, Unversioned, fmt.Sprintf("the field is new, so the minor version must be higher than %d.%d", wasMajor, wasMinor))
		}
	}
	slices.SortFunc(d.breaks, compareBreaks)
	return d.breaks, nil
}

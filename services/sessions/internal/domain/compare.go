package domain

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

func same(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// differing returns wanted where it is given and not what is held.
func differing(wanted *string, held string) *string {
	if wanted == nil || *wanted == held {
		return nil
	}
	return wanted
}

// sameJSON compares two texts whatever the order of their names; numbers count as written.
func sameJSON(a, b json.RawMessage) bool {
	sortedA, errA := sortedJSON(a)
	sortedB, errB := sortedJSON(b)
	return errA == nil && errB == nil && bytes.Equal(sortedA, sortedB)
}

func sortedJSON(text json.RawMessage) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

func sorted(f faults) faults {
	slices.SortFunc(f, func(a, b FieldFault) int { return strings.Compare(a.Pointer, b.Pointer) })
	return f
}

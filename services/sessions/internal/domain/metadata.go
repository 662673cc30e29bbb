package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The limits of metadata.
const (
	MaxMetadataBytes = 16 << 10 // compact
	MaxMetadataDepth = 32       // levels; the object itself is the first
)

var emptyObject = json.RawMessage(`{}`)

// mergeMetadata applies a merge patch (RFC 7396, section 2) to an object. Null resets it. Numbers
// stay as they were written.
func mergeMetadata(current, patch json.RawMessage) (json.RawMessage, error) {
	if isNull(patch) {
		return emptyObject, nil
	}
	merged, err := mergePatch(current, patch)
	if err != nil {
		return nil, fmt.Errorf("merging metadata: %w", err)
	}
	return merged, nil
}

func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	changes, isObject := object(patch)
	if !isObject {
		return compact(patch)
	}
	members, isObject := object(target)
	if !isObject {
		members = map[string]json.RawMessage{}
	}
	for name, change := range changes {
		if isNull(change) {
			delete(members, name)
			continue
		}
		merged, err := mergePatch(members[name], change)
		if err != nil {
			return nil, err
		}
		members[name] = merged
	}
	return encode(members)
}

func object(text json.RawMessage) (map[string]json.RawMessage, bool) {
	var members map[string]json.RawMessage
	err := json.Unmarshal(text, &members)
	return members, err == nil && members != nil
}

func isNull(text json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(text), []byte("null")) }

func encode(members map[string]json.RawMessage) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(members); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func compact(text json.RawMessage) (json.RawMessage, error) {
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// checkMetadata adds what is wrong with a whole metadata object.
func (f *faults) checkMetadata(metadata json.RawMessage) {
	const pointer = "/metadata"
	if _, ok := object(metadata); !ok {
		f.add(pointer, FaultValue, "must be a JSON object")
		return
	}
	if len(metadata) > MaxMetadataBytes {
		f.add(pointer, FaultTooLarge, fmt.Sprintf("must be at most %d bytes of compact JSON", MaxMetadataBytes))
	}
	if depth(metadata) > MaxMetadataDepth {
		f.add(pointer, FaultTooDeep, fmt.Sprintf("must be nested at most %d levels", MaxMetadataDepth))
	}
}

// depth returns how many levels of objects and arrays a valid value has.
func depth(text json.RawMessage) int {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	level, deepest := 0, 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			level++
			deepest = max(deepest, level)
		case json.Delim('}'), json.Delim(']'):
			level--
		}
	}
}

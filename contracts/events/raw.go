package events

import (
	"encoding/json"
	"errors"
)

// RawPayload is a payload that somebody outside gave, as they wrote it. Seal holds it to the schema of
// its type like any other and keeps its numbers as written.
type RawPayload struct {
	Type Type
	JSON json.RawMessage
}

var errNoPayload = errors.New("there is none")

// EventType returns the type that the payload was given for.
func (p RawPayload) EventType() Type { return p.Type }

// MarshalJSON writes what was given.
func (p RawPayload) MarshalJSON() ([]byte, error) {
	if len(p.JSON) == 0 {
		return nil, errNoPayload
	}
	return p.JSON, nil
}

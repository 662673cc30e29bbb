package events

import (
	"encoding/json"
	"fmt"
	"time"
)

// ActorType says what kind of actor caused an event.
type ActorType string

// The kinds of actors.
const (
	ActorUser     ActorType = "user"
	ActorService  ActorType = "service"
	ActorProvider ActorType = "provider"
	ActorSystem   ActorType = "system"
)

// Actor is who caused an event: a user by their id, a service principal, the media provider by its
// name, or the system itself (timers).
type Actor struct {
	Type ActorType `json:"type"`
	ID   string    `json:"id"`
}

// Envelope is a canonical event: exactly these seven fields. Payload and Timestamp are kept as they
// came, so that what is stored and replayed is what was sent.
type Envelope struct {
	EventID   string          `json:"eventId"`   // UUID, lower case
	Timestamp string          `json:"timestamp"` // RFC 3339, UTC, when it happened
	SessionID string          `json:"sessionId"` // UUID, lower case
	Type      Type            `json:"type"`
	Actor     Actor           `json:"actor"`
	Payload   json.RawMessage `json:"payload"` // an object by the type's schema
	Version   string          `json:"version"` // "major.minor" of the type's contract
}

// Time returns the instant of Timestamp, in UTC.
func (e Envelope) Time() (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, e.Timestamp)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the timestamp of event %s: %w", e.EventID, err)
	}
	return t.UTC(), nil
}

// Payload is implemented by the Go type of every payload.
type Payload interface {
	// EventType returns the one type that carries this payload.
	EventType() Type
}

// Draft is an event without id and session, as domain code returns it. Seal makes it an event.
type Draft struct {
	Timestamp time.Time // when it happened
	Actor     Actor
	Payload   Payload
}

// DecodePayload reads the payload of e into T. Fields of a newer minor version are ignored. It fails
// where e is not of T's type.
func DecodePayload[T Payload](e Envelope) (T, error) {
	var payload T
	if want := payload.EventType(); e.Type != want {
		return payload, fmt.Errorf("decoding the payload of event %s: it is %s, not %s", e.EventID, e.Type, want)
	}
	if err := json.Unmarshal(e.Payload, &payload); err != nil {
		return payload, fmt.Errorf("decoding the payload of event %s (%s): %w", e.EventID, e.Type, err)
	}
	return payload, nil
}

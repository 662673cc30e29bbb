package events

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/callplane/callplane/contracts/internal/strictjson"
)

// MaxSize bounds an encoded event, in bytes.
const MaxSize = 256 << 10

// Sealed is an event that holds to its contract, with its encoded form. Only Seal makes one, so a
// function that takes a Sealed can't be given an invalid event.
type Sealed struct {
	envelope Envelope
	encoded  json.RawMessage
	digest   [32]byte
}

// Envelope returns the event.
func (s Sealed) Envelope() Envelope {
	envelope := s.envelope
	envelope.Payload = slices.Clone(s.envelope.Payload)
	return envelope
}

// JSON returns the encoded event: what is stored, published and replayed, byte by byte.
func (s Sealed) JSON() json.RawMessage { return slices.Clone(s.encoded) }

// Digest returns the SHA-256 of the event's canonical form; Accept computes the same.
func (s Sealed) Digest() [32]byte { return s.digest }

// Seal makes d an event with the given id and session (both UUIDs in lower case) and checks it
// against the schema of its type, strictly. The error is an *InvalidEventError.
func Seal(eventID, sessionID string, d Draft) (Sealed, error) {
	if d.Payload == nil {
		return Sealed{}, &InvalidEventError{Pointer: "/payload", Reason: "is missing"}
	}
	t := d.Payload.EventType()
	contract, ok := catalogue[t]
	if !ok {
		return Sealed{}, &InvalidEventError{Type: t, Pointer: "/type", Reason: "is not in the catalogue"}
	}
	payload, err := encode(d.Payload)
	if err != nil {
		return Sealed{}, &InvalidEventError{Type: t, Pointer: "/payload", Reason: "can't be encoded: " + err.Error()}
	}
	envelope := Envelope{
		EventID:   eventID,
		Timestamp: d.Timestamp.UTC().Format(timestampLayout),
		SessionID: sessionID,
		Type:      t,
		Actor:     d.Actor,
		Payload:   payload,
		Version:   contract.version.String(),
	}
	encoded, err := encode(envelope)
	if err != nil {
		return Sealed{}, &InvalidEventError{Type: t, Reason: "can't be encoded: " + err.Error()}
	}
	if len(encoded) > MaxSize {
		return Sealed{}, &InvalidEventError{Type: t, Reason: "is larger than 256 KiB"}
	}
	event, err := strictjson.ParseObject(encoded)
	if err != nil {
		return Sealed{}, &InvalidEventError{Type: t, Reason: err.Error()}
	}
	if found := strictSchemas()[t].Validate(event); len(found) > 0 {
		return Sealed{}, &InvalidEventError{Type: t, Pointer: found[0].Pointer, Reason: found[0].Rule}
	}
	return Sealed{envelope: envelope, encoded: encoded, digest: digest(event)}, nil
}

// encode writes v as JSON on one line, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// CheckObject says whether text is a JSON object that a payload can carry as it is, such as metadata.
// It refuses what any event with it would be refused for: invalid UTF-8 or JSON, a name twice, NUL,
// half a surrogate pair, numbers longer than 64 characters or with exponents beyond 400, more than 64
// levels. The error is fit for the one who gave the text.
func CheckObject(text []byte) error {
	_, err := strictjson.ParseObject(text)
	return err
}

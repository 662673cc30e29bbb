package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/callplane/callplane/contracts/internal/schema"
	"github.com/callplane/callplane/contracts/internal/strictjson"
)

// Delivery is a message of the events exchange, as the broker gave it.
type Delivery struct {
	Body          []byte
	RoutingKey    string
	MessageID     string
	UserID        string // of the sender, as the broker checked it
	SessionHeader string // header session-id
}

// Accepted is an event that this build can take, and its bytes as they came.
type Accepted struct {
	Envelope
	Raw    json.RawMessage
	Digest [32]byte // SHA-256 of the canonical form: names sorted, numbers as written
}

const maxDetail = 512 // bytes

var envelopeFields = []string{"eventId", "timestamp", "sessionId", "type", "actor", "payload", "version"}

// Accept reads a delivery. An event of our own or an older minor version must hold to the whole
// schema; one of a newer minor version may have payload fields that we don't know, and they are
// kept. The error is always a *RejectedError: the same delivery will never be accepted by this
// build.
func Accept(d Delivery) (Accepted, error) {
	if len(d.Body) > MaxSize {
		return Accepted{}, reject(Oversize, "%d bytes, at most %d are taken", len(d.Body), MaxSize)
	}
	event, err := strictjson.ParseObject(d.Body)
	if err != nil {
		return Accepted{}, reject(Malformed, "%v", err)
	}
	t, newer, err := checkContract(event)
	if err != nil {
		return Accepted{}, err
	}
	if err := checkProperties(d, t, event); err != nil {
		return Accepted{}, err
	}
	schemas := strictSchemas()
	if newer {
		schemas = tolerantSchemas()
	}
	if found := schemas[t].Validate(event); len(found) > 0 {
		return Accepted{}, reject(SchemaViolation, "%s", schema.Describe(found))
	}
	accepted := Accepted{Raw: bytes.Clone(d.Body), Digest: digest(event)}
	if err := json.Unmarshal(accepted.Raw, &accepted.Envelope); err != nil {
		return Accepted{}, reject(Malformed, "%v", err)
	}
	if !maySpeakAs(d.UserID, t, accepted.Actor) {
		return Accepted{}, reject(ForbiddenActor, "user %q may not send %s as another service", clip(d.UserID, 64), t)
	}
	return accepted, nil
}

// checkContract finds the contract that the event claims: a type that we know in a major version
// that we know, in the envelope of that version. newer says that its minor version is newer than
// ours. The version is looked at before the fields, since another major may have others.
func checkContract(event map[string]any) (t Type, newer bool, err error) {
	name, ok := event["type"].(string)
	if !ok {
		return "", false, reject(Malformed, "type is missing or not a string")
	}
	contract, ok := catalogue[Type(name)]
	if !ok {
		return "", false, reject(UnknownType, "the catalogue has no type %q", clip(name, 64))
	}
	text, ok := event["version"].(string)
	if !ok {
		return "", false, reject(Malformed, "version is missing or not a string")
	}
	v, err := parseVersion(text)
	if err != nil {
		return "", false, reject(Malformed, "version is %v", err)
	}
	if v.major != contract.version.major {
		return "", false, reject(UnsupportedVersion, "%s %s, this build takes %d.x", name, v, contract.version.major)
	}
	for _, field := range envelopeFields {
		if _, ok := event[field]; !ok {
			return "", false, reject(Malformed, "%s is missing", field)
		}
	}
	if len(event) != len(envelopeFields) {
		return "", false, reject(Malformed, "%d fields, an envelope has exactly %d", len(event), len(envelopeFields))
	}
	return Type(name), v.minor > contract.version.minor, nil
}

// checkProperties holds the event to what the broker vouches for: whoever routes, partitions or
// authorizes by a property must not be told something else than who reads the body.
func checkProperties(d Delivery, t Type, event map[string]any) error {
	if !MaySend(d.UserID, t) {
		return reject(ForbiddenProducer, "user %q may not send %s", clip(d.UserID, 64), t)
	}
	switch {
	case d.RoutingKey != string(t):
		return reject(PropertyMismatch, "the routing key is not the event's type")
	case d.MessageID != event["eventId"]:
		return reject(PropertyMismatch, "the message id is not the event's id")
	case d.SessionHeader != event["sessionId"]:
		return reject(PropertyMismatch, "the session-id header is not the event's session")
	}
	return nil
}

func reject(reason Reason, format string, args ...any) *RejectedError {
	return &RejectedError{Reason: reason, Detail: clip(fmt.Sprintf(format, args...), maxDetail)}
}

// clip cuts s to at most limit bytes, at the border of a character.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

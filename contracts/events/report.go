package events

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/internal/strictjson"
)

// Report is an event as somebody gives it who is no part of this build, such as a caller of an API.
type Report struct {
	EventID   string // UUID, lower case
	SessionID string // UUID, lower case
	Timestamp string // RFC 3339, UTC; it stands in the event as it is given
	Type      Type
	Actor     Actor
	Payload   json.RawMessage // an object
	Version   string          // of the type's contract; "" for the one that this build emits
}

// Fault is one rule that a report breaks.
type Fault struct {
	Pointer string // JSON pointer (RFC 6901) into the envelope
	Rule    string // never a value of the event
}

// InvalidReportError says everything that is wrong with a report.
type InvalidReportError struct {
	Type   Type
	Faults []Fault
}

func (e *InvalidReportError) Error() string {
	text := fmt.Sprintf("invalid event %s:", e.Type)
	for _, fault := range e.Faults {
		text += " " + fault.Pointer + " " + fault.Rule + ";"
	}
	return text
}

// Timestamp returns t as events have it.
func Timestamp(t time.Time) string { return t.UTC().Format(timestampLayout) }

// SealReport makes a report an event. It is strict with a version of our own or an older minor one; of a newer minor version it takes and
// keeps payload fields that we don't know, as Accept does. The error is an *InvalidReportError.
func SealReport(r Report) (Sealed, error) {
	contract, known := catalogue[r.Type]
	if !known {
		return Sealed{}, &InvalidReportError{r.Type, []Fault{{"/type", "is not in the catalogue"}}}
	}
	claimed := contract.version
	if r.Version != "" {
		var err error
		if claimed, err = parseVersion(r.Version); err != nil {
			return Sealed{}, &InvalidReportError{r.Type, []Fault{{"/version", "is " + err.Error()}}}
		}
	}
	if claimed.major != contract.version.major {
		rule := fmt.Sprintf("is %s, this service takes %d.x", claimed, contract.version.major)
		return Sealed{}, &InvalidReportError{r.Type, []Fault{{"/version", rule}}}
	}
	envelope := Envelope{
		EventID: r.EventID, Timestamp: r.Timestamp, SessionID: r.SessionID, Type: r.Type, Actor: r.Actor, Payload: r.Payload,
		Version: claimed.String(),
	}
	encoded, err := encode(envelope)
	if err != nil {
		return Sealed{}, &InvalidReportError{r.Type, []Fault{{"/payload", "can't be encoded: " + err.Error()}}}
	}
	if len(encoded) > MaxSize {
		return Sealed{}, &InvalidReportError{r.Type, []Fault{{"/payload", "is too large"}}}
	}
	event, err := strictjson.ParseObject(encoded)
	if err != nil {
		return Sealed{}, &InvalidReportError{r.Type, []Fault{{"/payload", err.Error()}}}
	}
	schemas := strictSchemas()
	if claimed.minor > contract.version.minor {
		schemas = tolerantSchemas()
	}
	if found := schemas[r.Type].Validate(event); len(found) > 0 {
		invalid := &InvalidReportError{Type: r.Type}
		for _, violation := range found {
			invalid.Faults = append(invalid.Faults, Fault(violation))
		}
		return Sealed{}, invalid
	}
	if err := json.Unmarshal(encoded, &envelope); err != nil {
		return Sealed{}, &InvalidReportError{r.Type, []Fault{{"/payload", err.Error()}}}
	}
	return Sealed{envelope: envelope, encoded: encoded, digest: digest(event)}, nil
}

// DigestOf returns the digest that Seal and Accept give an event with this text.
func DigestOf(text []byte) ([32]byte, error) {
	event, err := strictjson.ParseObject(text)
	if err != nil {
		return [32]byte{}, fmt.Errorf("reading an event: %w", err)
	}
	return digest(event), nil
}

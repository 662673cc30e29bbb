package events

import "fmt"

// InvalidEventError says that an event was refused where it was made. It is a bug of the producer
// or text that it should have bounded, and never reaches an outbox.
type InvalidEventError struct {
	Type    Type
	Pointer string // JSON pointer (RFC 6901) into the envelope; "" for the whole
	Reason  string // which rule it breaks; never a value of the event
}

func (e *InvalidEventError) Error() string {
	if e.Pointer == "" {
		return fmt.Sprintf("invalid event %s: %s", e.Type, e.Reason)
	}
	return fmt.Sprintf("invalid event %s: %s: %s", e.Type, e.Pointer, e.Reason)
}

// Reason says why a delivery was rejected; it is the x-reason header of a parked message.
type Reason string

// The reasons of rejection.
const (
	// Malformed: not UTF-8, not JSON as we take it, or not exactly the seven fields.
	Malformed Reason = "malformed"
	// Oversize: the body is larger than MaxSize.
	Oversize Reason = "oversize"
	// UnknownType: the type is not in this build's catalogue.
	UnknownType Reason = "unknown_type"
	// UnsupportedVersion: the major version is another than this build's.
	UnsupportedVersion Reason = "unsupported_version"
	// SchemaViolation: the event breaks its type's schema.
	SchemaViolation Reason = "schema"
	// PropertyMismatch: routing key, message id or session header differ from the body.
	PropertyMismatch Reason = "property_mismatch"
	// ForbiddenProducer: the user who sent it may not send this type.
	ForbiddenProducer Reason = "forbidden_producer"
	// ForbiddenActor: the user who sent it says that another service did what it tells.
	ForbiddenActor Reason = "forbidden_actor"
)

// RejectedError says that a delivery is the message's own fault and can never be accepted by this
// build: park it, don't retry it.
type RejectedError struct {
	Reason Reason
	Detail string // for people; bounded, and without values of the payload
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("event rejected (%s): %s", e.Reason, e.Detail)
}

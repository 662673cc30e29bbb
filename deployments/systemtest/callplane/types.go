package callplane

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// NewSession is the body of a creation; what is empty is left to the API's defaults.
type NewSession struct {
	OwnerID  string         `json:"ownerId,omitempty"`
	Kind     string         `json:"kind,omitempty"`
	Title    string         `json:"title,omitempty"`
	Provider string         `json:"provider,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
	Members  []Member       `json:"members,omitempty"`
}

// Member is one who may be in the call, and as what: host, participant or viewer.
type Member struct {
	UserID string `json:"userId"`
	Role   string `json:"role"`
}

// Participant is one device of one who is or was in the call.
type Participant struct {
	UserID   string     `json:"userId"`
	Identity string     `json:"identity"`
	Status   string     `json:"status"`
	JoinedAt *time.Time `json:"joinedAt"`
}

// Failure says why a session failed.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Session is the whole body of a session, and the headers that came with it.
type Session struct {
	SessionID             string          `json:"sessionId"`
	OwnerID               string          `json:"ownerId"`
	Status                string          `json:"status"`
	Title                 *string         `json:"title"`
	Kind                  string          `json:"kind"`
	Provider              string          `json:"provider"`
	ProviderRoomID        *string         `json:"providerRoomId"`
	ProviderParticipantID *string         `json:"providerParticipantId"`
	ProviderCallID        *string         `json:"providerCallId"`
	Metadata              json.RawMessage `json:"metadata"`
	Members               []Member        `json:"members"`
	Participants          []Participant   `json:"participants"`
	Version               int64           `json:"version"`
	CreatedAt             time.Time       `json:"createdAt"`
	UpdatedAt             time.Time       `json:"updatedAt"`
	StartedAt             *time.Time      `json:"startedAt"`
	EndedAt               *time.Time      `json:"endedAt"`
	EndReason             *string         `json:"endReason"`
	Error                 *Failure        `json:"error"`
	LastEventID           *string         `json:"lastEventId"`

	ETag     string `json:"-"`
	Location string `json:"-"`
}

// SessionPage is a page of a list.
type SessionPage struct {
	Items        []Session `json:"items"`
	NextCursor   *string   `json:"nextCursor"`
	EventsCursor *string   `json:"eventsCursor"`
}

// Event is one envelope of a session's log, and the bytes it came as.
type Event struct {
	events.Envelope
	Raw json.RawMessage
}

// UnmarshalJSON keeps the bytes beside what they say.
func (e *Event) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, &e.Envelope); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	e.Raw = append(json.RawMessage(nil), raw...)
	return nil
}

// MarshalJSON gives the bytes that came.
func (e Event) MarshalJSON() ([]byte, error) { return e.Raw, nil }

// EventPage is a piece of a session's log, in the order it was appended.
type EventPage struct {
	Items       []Event `json:"items"`
	LastEventID *string `json:"lastEventId"`
	HasMore     bool    `json:"hasMore"`
}

// TokenRequest is what may be asked of a token; all of it may be left out.
type TokenRequest struct {
	TTLSeconds  int    `json:"ttlSeconds,omitempty"`
	DeviceID    string `json:"deviceId,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
}

// Token is what a client joins a call with.
type Token struct {
	Provider  string    `json:"provider"`
	URL       string    `json:"url"`
	Token     string    `json:"token"`
	RoomName  string    `json:"roomName"`
	Identity  string    `json:"identity"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// String leaves the token itself out, so that it can't get into a log by accident.
func (t Token) String() string {
	return fmt.Sprintf("token for %s in %s until %s", t.Identity, t.RoomName, t.ExpiresAt.Format(time.RFC3339))
}

// GoString is String.
func (t Token) GoString() string { return t.String() }

// FieldError points at one thing that is wrong in a request's body.
type FieldError struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Problem is a refusal by the API (RFC 9457), and the call that was refused.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Instance  string       `json:"instance"`
	Code      string       `json:"code"`
	Retryable bool         `json:"retryable"`
	RequestID string       `json:"requestId"`
	TraceID   string       `json:"traceId"`
	Errors    []FieldError `json:"errors"`

	Method     string `json:"-"`
	Path       string `json:"-"`
	RetryAfter string `json:"-"`
	Challenge  string `json:"-"` // WWW-Authenticate
}

// Error says what was refused, why, and the request id to look for in the service's log.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s answered %d %s", p.Method, p.Path, p.Status, p.Code)
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "; %s %s", e.Pointer, e.Message)
	}
	if p.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", p.RequestID)
	}
	return b.String()
}

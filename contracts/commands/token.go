package commands

import (
	"fmt"
	"log/slog"

	"github.com/callplane/callplane/contracts/events"
)

// TokenIssueName is the command's name and routing key.
const TokenIssueName = "token.issue"

// TokenIssue asks for a token by which a user joins the session's room. The same request may be sent
// again: room and identity stay the same.
type TokenIssue struct {
	CommandID      string         `json:"commandId"` // UUID, lower case
	SessionID      string         `json:"sessionId"` // UUID, lower case
	SessionVersion int64          `json:"sessionVersion"`
	UserID         string         `json:"userId"`
	Role           events.Role    `json:"role"`
	DeviceID       *string        `json:"deviceId"`
	DisplayName    *string        `json:"displayName"`
	TTLSeconds     int            `json:"ttlSeconds"` // 30 to 3600
	Kind           events.Kind    `json:"kind"`
	IssuedAt       events.Instant `json:"issuedAt"`
}

// TokenIssued is the result of token.issue.
type TokenIssued struct {
	Provider  string         `json:"provider"`
	URL       string         `json:"url"` // where clients connect: ws or wss
	Token     JoinToken      `json:"token"`
	RoomName  string         `json:"roomName"`
	Identity  string         `json:"identity"`
	ExpiresAt events.Instant `json:"expiresAt"`
}

const redacted = "[redacted]"

// JoinToken is a token that lets its bearer into a room. It shows itself as redacted however it is
// printed, logged or encoded; only EncodeTokenReply and Reveal give the token away. The pointer keeps
// fmt from following it where it reports a wrong verb, which passes by all methods.
type JoinToken struct{ secret *string }

// NewJoinToken returns the token.
func NewJoinToken(secret string) JoinToken { return JoinToken{secret: &secret} }

// Reveal returns the token itself, "" where there is none. Give it to the user who asked, and to nobody else.
func (t JoinToken) Reveal() string {
	if t.secret == nil {
		return ""
	}
	return *t.secret
}

// String hides the token.
func (JoinToken) String() string { return redacted }

// Format hides the token from every verb of fmt.
func (JoinToken) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(redacted)) }

// LogValue hides the token from slog.
func (JoinToken) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the token from encoders.
func (JoinToken) MarshalText() ([]byte, error) { return []byte(redacted), nil }

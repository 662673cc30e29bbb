package ports

import (
	"context"
	"errors"
	"time"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
)

// What keeps a token from being issued.
var (
	// ErrProviderUnavailable: nobody who issues tokens answered in time. The same request may succeed later.
	ErrProviderUnavailable = errors.New("the media provider is unavailable")
	// ErrDeviceLimit: the member has as many devices in the session as are allowed.
	ErrDeviceLimit = errors.New("the member has too many devices in the session")
)

// TokenRequest asks for a token for one member's device.
type TokenRequest struct {
	SessionID      string
	SessionVersion int64
	Kind           events.Kind
	UserID         string
	Role           events.Role
	DeviceID       *string
	DisplayName    *string
	TTL            time.Duration // whole seconds
	RequestedAt    time.Time
}

// Token lets a member's device into the call.
type Token struct {
	Provider  string
	URL       string
	Secret    commands.JoinToken // shows itself to nobody but the caller
	RoomName  string
	Identity  string
	ExpiresAt time.Time
}

// MediaTokens issues tokens. Asking again is harmless: room and identity stay the same.
type MediaTokens interface {
	// Issue returns a token, or ErrProviderUnavailable, ErrDeviceLimit or domain.ErrSessionFinal. It answers before the context's deadline.
	Issue(ctx context.Context, request TokenRequest) (Token, error)
}

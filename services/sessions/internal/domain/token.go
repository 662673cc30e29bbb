package domain

import (
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// The bounds of a token's life, and of what a caller may put in it.
const (
	MinTokenTTL     = 30 * time.Second
	MaxTokenTTL     = time.Hour
	DefaultTokenTTL = 10 * time.Minute
	MaxDisplayName  = 128 // characters
)

// TokenWish is what a caller asks of a token; what is nil takes its default.
type TokenWish struct {
	TTLSeconds  *int64
	DeviceID    *string
	DisplayName *string
}

// Check returns everything that is wrong with the wish, as an *InvalidError.
func (wish TokenWish) Check() error {
	var found faults
	if wish.TTLSeconds != nil {
		seconds := *wish.TTLSeconds
		if seconds < int64(MinTokenTTL/time.Second) || seconds > int64(MaxTokenTTL/time.Second) {
			found.add("/ttlSeconds", FaultValue, fmt.Sprintf("must be %d to %d", MinTokenTTL/time.Second, MaxTokenTTL/time.Second))
		}
	}
	if wish.DeviceID != nil && !deviceIDForm.MatchString(*wish.DeviceID) {
		found.add("/deviceId", FaultFormat, "must be 1 to 64 of A-Z, a-z, 0-9, _ and -")
	}
	found.checkText("/displayName", wish.DisplayName, MaxDisplayName)
	return found.err()
}

// TokenGrant is what a token is to give.
type TokenGrant struct {
	Role events.Role
	TTL  time.Duration
}

// GrantToken decides whether and how the caller may join the call. Errors: ErrNotFound, ErrForbidden, *InvalidError, ErrSessionFinal,
// ErrProviderNotSupported.
func (s *Session) GrantToken(caller Principal, wish TokenWish) (TokenGrant, error) {
	if err := s.Authorize(caller, ActionToken); err != nil {
		return TokenGrant{}, err
	}
	if err := wish.Check(); err != nil {
		return TokenGrant{}, err
	}
	ttl := DefaultTokenTTL
	if wish.TTLSeconds != nil {
		ttl = time.Duration(*wish.TTLSeconds) * time.Second
	}
	if s.Final() {
		return TokenGrant{}, ErrSessionFinal
	}
	if s.state.Provider != ProviderManaged {
		return TokenGrant{}, ErrProviderNotSupported
	}
	role, _ := s.RoleOf(caller.UserID)
	return TokenGrant{Role: role, TTL: ttl}, nil
}

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// TokenDeadline is how long the provider's side has to answer.
const TokenDeadline = 2 * time.Second

// IssueToken gives a member a token to join the call with.
type IssueToken struct {
	Store  ports.SessionStore
	Tokens ports.MediaTokens
	Clock  ports.Clock
}

// Do returns a token for the caller. Errors: domain.ErrNotFound, domain.ErrForbidden (the caller sees the session but is no member),
// *domain.InvalidError, domain.ErrSessionFinal, domain.ErrProviderNotSupported, ports.ErrDeviceLimit, ports.ErrProviderUnavailable,
// ports.ErrUnavailable.
func (uc IssueToken) Do(ctx context.Context, caller domain.Principal, id string, wish domain.TokenWish) (ports.Token, error) {
	view, err := uc.Store.Get(ctx, ports.ViewerOf(caller), id)
	if err != nil {
		return ports.Token{}, err
	}
	session := view.Session
	grant, err := session.GrantToken(caller, wish)
	if err != nil {
		return ports.Token{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, TokenDeadline)
	defer cancel()
	token, err := uc.Tokens.Issue(ctx, ports.TokenRequest{
		SessionID:      session.ID(),
		SessionVersion: session.Version(),
		Kind:           session.Kind(),
		UserID:         caller.UserID,
		Role:           grant.Role,
		DeviceID:       wish.DeviceID,
		DisplayName:    wish.DisplayName,
		TTL:            grant.TTL,
		RequestedAt:    uc.Clock.Now(),
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return ports.Token{}, fmt.Errorf("issuing a token: %w", ports.ErrProviderUnavailable)
	}
	if err != nil {
		return ports.Token{}, fmt.Errorf("issuing a token: %w", err)
	}
	return token, nil
}

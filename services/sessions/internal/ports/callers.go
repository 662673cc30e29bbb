package ports

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// CallerTokens tells who a bearer token was issued to. Safe for concurrent use.
type CallerTokens interface {
	// Verify returns the principal of a token, an *InvalidTokenError where it proves nothing, or ErrUnavailable where the keys to check it
	// with can't be had now.
	Verify(ctx context.Context, token string) (domain.Principal, error)
}

// InvalidTokenError says that a token proves nothing.
type InvalidTokenError struct {
	Reason string // goes on from "the token "; for its bearer, in ASCII without quotes, and repeats nothing of the token
}

// Error implements error.
func (e *InvalidTokenError) Error() string { return "the token " + e.Reason }

package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// challenge is what WWW-Authenticate says to a caller without credentials (RFC 6750, section 3).
const challenge = `Bearer realm="callplane"`

// BearerAuth takes a token from the header Authorization (RFC 6750, section 2.1), and from nowhere else.
type BearerAuth struct{ Tokens ports.CallerTokens }

var errNoToken = &unauthenticatedError{advice: "The header Authorization must be given once, as: Bearer, a space, and a JWT.", challenge: challenge}

// Authenticate implements Authenticator.
func (a BearerAuth) Authenticate(r *http.Request) (domain.Principal, error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return domain.Principal{}, errNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return domain.Principal{}, errNoToken
	}
	principal, err := a.Tokens.Verify(r.Context(), token)
	var invalid *ports.InvalidTokenError
	if errors.As(err, &invalid) {
		said := "The token " + invalid.Reason + "."
		return principal, &unauthenticatedError{advice: said, challenge: challenge + `, error="invalid_token", error_description="` + said + `"`}
	}
	return principal, err //nolint:wrapcheck // The one table reads it.
}

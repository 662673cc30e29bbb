package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// ErrUnauthenticated says that the caller did not show who they are.
var ErrUnauthenticated = errors.New("unauthenticated")

// Authenticator tells who makes a request. Its error wraps ErrUnauthenticated where the caller is at fault, and is ports.ErrUnavailable where
// that can't be told now.
type Authenticator interface {
	Authenticate(r *http.Request) (domain.Principal, error)
}

// DevAuth believes the headers X-User-Id and X-Scopes (separated by spaces or commas). It is for development alone: whoever reaches the
// API can be anybody.
type DevAuth struct{}

var errDevHeader = &unauthenticatedError{
	advice: "With AUTH_MODE=dev the header X-User-Id says who calls: 1 to 128 visible ASCII characters.", challenge: challenge,
}

// Authenticate implements Authenticator.
func (DevAuth) Authenticate(r *http.Request) (domain.Principal, error) {
	users := r.Header.Values("X-User-Id")
	if len(users) != 1 || !domain.ValidUserID(users[0]) {
		return domain.Principal{}, errDevHeader
	}
	principal := domain.Principal{UserID: users[0]}
	separators := func(r rune) bool { return r == ' ' || r == ',' }
	for _, scope := range strings.FieldsFunc(strings.Join(r.Header.Values("X-Scopes"), " "), separators) {
		principal.Scopes = append(principal.Scopes, domain.Scope(scope))
	}
	return principal, nil
}

// unauthenticatedError is ErrUnauthenticated with what to do about it, in words and as the header WWW-Authenticate.
type unauthenticatedError struct{ advice, challenge string }

func (e *unauthenticatedError) Error() string { return ErrUnauthenticated.Error() + ": " + e.advice }
func (e *unauthenticatedError) Unwrap() error { return ErrUnauthenticated }

// authHeaders are the headers beside Authorization in which callers show who they are.
func (a API) authHeaders() []string {
	if _, dev := a.Auth.(DevAuth); dev {
		return []string{"X-User-Id", "X-Scopes"}
	}
	return nil
}

const principalKey = "principal"

// authenticate lets only callers pass who showed who they are, and who don't ask too often. Who fails to is counted by their address, and
// nobody else is: many users may share one.
func (a API) authenticate(c *gin.Context) {
	principal, err := a.Auth.Authenticate(c.Request)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		if limited := a.Limit.take(addressOf(c)); limited != nil {
			err = limited
		}
	case err == nil:
		err = a.Limit.take("user " + principal.UserID)
	}
	if err != nil {
		fail(c, err)
		return
	}
	c.Set(principalKey, principal)
	c.Next()
}

// caller returns who passed authenticate.
func caller(c *gin.Context) domain.Principal {
	principal, _ := c.MustGet(principalKey).(domain.Principal)
	return principal
}

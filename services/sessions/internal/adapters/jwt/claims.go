package jwt

import (
	"strings"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// principal reads who the claims of a verified token speak of.
func principal(claims jwtlib.MapClaims) (domain.Principal, error) {
	subject, _ := claims["sub"].(string)
	if !domain.ValidUserID(subject) {
		return domain.Principal{}, &ports.InvalidTokenError{Reason: "has no claim sub of 1 to 128 visible ASCII characters"}
	}
	scopes, ok := scopesOf(claims["scope"])
	if !ok {
		return domain.Principal{}, &ports.InvalidTokenError{Reason: "has a claim scope that is neither a string nor an array of strings"}
	}
	found := domain.Principal{UserID: subject, Scopes: scopes}
	if expiry, err := claims.GetExpirationTime(); err == nil && expiry != nil { // The parser has checked its form.
		found.ExpiresAt = expiry.Time
	}
	return found, nil
}

// scopesOf reads scopes that are separated by spaces (RFC 8693, section 4.2), or an array of them, as some issuers write.
func scopesOf(claim any) (scopes []domain.Scope, ok bool) {
	switch claim := claim.(type) {
	case nil:
		return nil, true
	case string:
		for scope := range strings.FieldsSeq(claim) {
			scopes = append(scopes, domain.Scope(scope))
		}
		return scopes, true
	case []any:
		for _, element := range claim {
			scope, isText := element.(string)
			if !isText {
				return nil, false
			}
			scopes = append(scopes, domain.Scope(scope))
		}
		return scopes, true
	default:
		return nil, false
	}
}

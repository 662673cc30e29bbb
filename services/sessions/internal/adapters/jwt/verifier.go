// Package jwt tells callers by their JSON Web Tokens (RFC 7519), signed with the keys of an identity provider or with a shared secret.
package jwt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Leeway is how far the clocks of issuer and service may be apart.
const Leeway = 15 * time.Second

// MinSecret is how long a shared secret is at least, in bytes: as long as the digest (RFC 7518, section 3.2).
const MinSecret = 32

// maxToken bounds what is decoded, in bytes.
const maxToken = 16 << 10

// Rules are what a token must claim. An empty one is not asked for.
type Rules struct {
	Issuer   string // claim iss
	Audience string // one of the claim aud
}

// Verifier checks tokens. It implements ports.CallerTokens.
type Verifier struct {
	parser *jwtlib.Parser
	keys   func(ctx context.Context) jwtlib.Keyfunc
}

// NewShared returns a verifier of tokens that are signed with HS256 and a secret of at least MinSecret bytes. No other algorithm is
// accepted. A token without exp does not expire.
func NewShared(secret []byte, rules Rules, now func() time.Time) (*Verifier, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("the secret has %d bytes; HS256 needs at least %d", len(secret), MinSecret)
	}
	key := func(*jwtlib.Token) (any, error) { return secret, nil }
	return &Verifier{
		parser: newParser(rules.options(now), jwtlib.SigningMethodHS256),
		keys:   func(context.Context) jwtlib.Keyfunc { return key },
	}, nil
}

// NewPublic returns a verifier of tokens that are signed with RS256, ES256 or EdDSA and one of the keys. No other algorithm is accepted,
// whatever the token says. Both rules and the claim exp are required: the keys may sign for others too.
func NewPublic(keys *Keys, rules Rules, now func() time.Time) (*Verifier, error) {
	if rules.Issuer == "" || rules.Audience == "" {
		return nil, errors.New("tokens signed with an identity provider's keys need an issuer and an audience to be told from those for others")
	}
	found, err := keyfunc.New(keyfunc.Options{Storage: keys})
	if err != nil {
		return nil, fmt.Errorf("use the identity provider's keys: %w", err)
	}
	return &Verifier{
		parser: newParser(
			append(rules.options(now), jwtlib.WithExpirationRequired()),
			jwtlib.SigningMethodRS256, jwtlib.SigningMethodES256, jwtlib.SigningMethodEdDSA,
		),
		keys: found.KeyfuncCtx,
	}, nil
}

func newParser(options []jwtlib.ParserOption, methods ...jwtlib.SigningMethod) *jwtlib.Parser {
	names := make([]string, len(methods))
	for i, method := range methods {
		names[i] = method.Alg()
	}
	return jwtlib.NewParser(append(options, jwtlib.WithValidMethods(names), jwtlib.WithStrictDecoding())...)
}

func (r Rules) options(now func() time.Time) []jwtlib.ParserOption {
	options := []jwtlib.ParserOption{jwtlib.WithLeeway(Leeway), jwtlib.WithTimeFunc(now)}
	if r.Issuer != "" {
		options = append(options, jwtlib.WithIssuer(r.Issuer))
	}
	if r.Audience != "" {
		options = append(options, jwtlib.WithAudience(r.Audience))
	}
	return options
}

// Verify implements ports.CallerTokens.
func (v *Verifier) Verify(ctx context.Context, token string) (domain.Principal, error) {
	if len(token) > maxToken {
		return domain.Principal{}, &ports.InvalidTokenError{Reason: "is too long"}
	}
	claims := jwtlib.MapClaims{} // which, other than a struct, tells Sub from sub
	if _, err := v.parser.ParseWithClaims(token, claims, v.key(ctx)); err != nil {
		return domain.Principal{}, refusal(err)
	}
	return principal(claims)
}

// key finds the key of a token that can be understood.
func (v *Verifier) key(ctx context.Context) jwtlib.Keyfunc {
	find := v.keys(ctx)
	return func(token *jwtlib.Token) (any, error) {
		if _, has := token.Header["crit"]; has { // RFC 7515, section 4.1.11: who does not understand it must refuse the token.
			return nil, errCritical
		}
		return find(token)
	}
}

var errCritical = errors.New("critical header")

// refusals say what each error of the parser is to the bearer; the first that fits counts.
var refusals = []struct {
	err    error
	reason string
}{
	{jwtlib.ErrTokenMalformed, "is not a well-formed JWT"},
	{errCritical, "has a critical header that is not understood"},
	{jwkset.ErrKeyNotFound, "is signed with a key that the identity provider does not publish"},
	{jwtlib.ErrTokenUnverifiable, "is signed in a way that is not accepted"},
	{jwtlib.ErrTokenSignatureInvalid, "has no valid signature of an accepted algorithm"},
	{jwtlib.ErrTokenExpired, "has expired"},
	{jwtlib.ErrTokenNotValidYet, "is not valid yet"},
	{jwtlib.ErrTokenRequiredClaimMissing, "lacks a claim that is required"},
	{jwtlib.ErrTokenInvalidIssuer, "is from another issuer"},
	{jwtlib.ErrTokenInvalidAudience, "is for another audience"},
}

// refusal turns the parser's error into the port's. Its text may repeat the token, so it goes no further.
func refusal(err error) error {
	if errors.Is(err, ports.ErrUnavailable) {
		return fmt.Errorf("find the key of a token: %w", ports.ErrUnavailable)
	}
	for _, row := range refusals {
		if errors.Is(err, row.err) {
			return &ports.InvalidTokenError{Reason: row.reason}
		}
	}
	return &ports.InvalidTokenError{Reason: "has a claim that is not valid"}
}

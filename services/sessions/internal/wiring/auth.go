package wiring

import (
	"fmt"
	"log/slog"

	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/jwt"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// The modes of AUTH_MODE.
const (
	authJWT = "jwt"
	authDev = "dev"
)

// authProblems says what is wrong with the settings of authentication together. There is no way to start without one by mistake.
func (s *Settings) authProblems() []config.Problem {
	switch s.AuthMode {
	case authDev:
		return nil
	case authJWT:
		return s.jwtProblems()
	default:
		return []config.Problem{{Name: "AUTH_MODE", Reason: fmt.Sprintf("%q is not a mode of this version; the modes are: %s, %s", s.AuthMode, authJWT, authDev)}}
	}
}

func (s *Settings) jwtProblems() []config.Problem {
	var problems []config.Problem
	add := func(name, reason string) { problems = append(problems, config.Problem{Name: name, Reason: reason}) }
	secret := len(s.AuthHS256Secret.Reveal())
	switch {
	case s.AuthJWKSURL != "" && secret > 0:
		add("AUTH_HS256_SECRET", "is set together with AUTH_JWKS_URL; set only one of the two, so that it is clear which keys are trusted")
	case s.AuthJWKSURL == "" && secret == 0:
		add("AUTH_HS256_SECRET", "is required with AUTH_MODE=jwt unless AUTH_JWKS_URL is set; set one of the two, or for development alone AUTH_MODE=dev")
	case secret > 0 && secret < jwt.MinSecret:
		add("AUTH_HS256_SECRET", fmt.Sprintf("has %d bytes; it must have at least %d, made at random", secret, jwt.MinSecret))
	}
	if s.AuthJWKSURL != "" && s.AuthIssuer == "" {
		add("AUTH_ISSUER", "is required with AUTH_JWKS_URL; set it to the claim iss of the provider's tokens")
	}
	if s.AuthJWKSURL != "" && s.AuthAudience == "" {
		add("AUTH_AUDIENCE", "is required with AUTH_JWKS_URL; set it to the claim aud of the tokens that are meant for this API")
	}
	return problems
}

// newAuthenticator returns the one of AUTH_MODE, which the settings have been checked for. An identity provider that is away keeps nothing
// from starting.
func newAuthenticator(settings Settings, clock ports.Clock, health *httpserver.Health, k keeper) (httpapi.Authenticator, error) {
	if settings.AuthMode == authDev {
		k.Log.Warn("AUTH_MODE=dev: X-User-Id and X-Scopes are believed, so whoever reaches this API can be anybody; for development only")
		return httpapi.DevAuth{}, nil
	}
	rules := jwt.Rules{Issuer: settings.AuthIssuer, Audience: settings.AuthAudience}
	if settings.AuthJWKSURL == "" {
		k.Log.Info("callers show tokens that are signed with AUTH_HS256_SECRET")
		tokens, err := jwt.NewShared([]byte(settings.AuthHS256Secret.Reveal()), rules, clock.Now)
		return httpapi.BearerAuth{Tokens: tokens}, err
	}
	k.Log.Info("callers show tokens that are signed with the identity provider's keys", slog.String("issuer", rules.Issuer))
	keys := jwt.NewKeys(jwt.KeysConfig{URL: settings.AuthJWKSURL, Log: k.Log})
	k.keep("identity provider's keys", keys.Run)
	health.Degrade("identity_provider", keys.Check)
	tokens, err := jwt.NewPublic(keys, rules, clock.Now)
	return httpapi.BearerAuth{Tokens: tokens}, err
}

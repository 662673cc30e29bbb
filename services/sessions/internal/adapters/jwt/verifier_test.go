package jwt_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/adapters/jwt"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// signer signs in a way that a verifier accepts.
type signer struct {
	name     string
	verifier ports.CallerTokens
	method   jwtlib.SigningMethod
	key      any
	header   map[string]any
}

func signers(t *testing.T) []signer {
	t.Helper()
	keys := pairs()
	public := publicVerifier(t, jwt.NewKeys(jwt.KeysConfig{URL: newProvider(t, everyKey(t)...).URL}))
	shared, err := jwt.NewShared([]byte(secret), rules, clock)
	require.NoError(t, err)
	return []signer{
		{"RS256", public, jwtlib.SigningMethodRS256, keys.rsa, kid("rsa")},
		{"ES256", public, jwtlib.SigningMethodES256, keys.p256, kid("ec")},
		{"EdDSA", public, jwtlib.SigningMethodEdDSA, keys.ed, kid("ed")},
		{"ES256 without kid", public, jwtlib.SigningMethodES256, keys.p256, nil},
		{"HS256", shared, jwtlib.SigningMethodHS256, []byte(secret), nil},
	}
}

func refused(t *testing.T, verifier ports.CallerTokens, token, reason string) {
	t.Helper()
	principal, err := verifier.Verify(t.Context(), token)
	var invalid *ports.InvalidTokenError
	require.ErrorAs(t, err, &invalid)
	require.Contains(t, invalid.Reason, reason)
	require.Zero(t, principal)
	for i := range strings.Count(token, ".") + 1 {
		if part := segment(token, i); part != "" {
			require.NotContains(t, err.Error(), part, "an error goes to logs and answers")
		}
	}
}

func TestGoodTokens(t *testing.T) {
	for _, s := range signers(t) {
		t.Run(s.name, func(t *testing.T) {
			for name, test := range map[string]struct {
				claims jwtlib.MapClaims
				want   domain.Principal
			}{
				"a user":                  {nil, domain.Principal{UserID: "alice"}},
				"scopes":                  {jwtlib.MapClaims{"scope": "call:read  call:admin openid"}, domain.Principal{UserID: "alice", Scopes: []domain.Scope{"call:read", "call:admin", "openid"}}},
				"scopes in an array":      {jwtlib.MapClaims{"scope": []string{"call:read", "call:usage"}}, domain.Principal{UserID: "alice", Scopes: []domain.Scope{"call:read", "call:usage"}}},
				"an empty scope":          {jwtlib.MapClaims{"scope": ""}, domain.Principal{UserID: "alice"}},
				"one audience of several": {jwtlib.MapClaims{"aud": []string{"other", audience}}, domain.Principal{UserID: "alice"}},
				"the longest sub":         {jwtlib.MapClaims{"sub": strings.Repeat("x", 128)}, domain.Principal{UserID: strings.Repeat("x", 128)}},
				"nbf within the leeway":   {jwtlib.MapClaims{"nbf": now.Add(jwt.Leeway).Unix()}, domain.Principal{UserID: "alice"}},
				"claims that look alike":  {jwtlib.MapClaims{"Sub": "root", "SUB": "root", "Scope": "call:admin", "EXP": 1}, domain.Principal{UserID: "alice"}},
			} {
				test.want.ExpiresAt = now.Add(time.Hour).Local()
				got, err := s.verifier.Verify(t.Context(), sign(t, s.method, s.key, s.header, claims(test.claims)))
				require.NoError(t, err, name)
				require.Equal(t, test.want, got, name)
			}
			late := now.Add(1 - jwt.Leeway)
			got, err := s.verifier.Verify(t.Context(), sign(t, s.method, s.key, s.header, claims(jwtlib.MapClaims{"exp": late.Add(time.Second).Unix()})))
			require.NoError(t, err, "expired within the leeway")
			require.True(t, got.ExpiresAt.Before(now), "the leeway is not given away")
		})
	}
}

func TestBadClaims(t *testing.T) {
	for _, s := range signers(t) {
		t.Run(s.name, func(t *testing.T) {
			for name, test := range map[string]struct {
				claims jwtlib.MapClaims
				reason string
			}{
				"expired":            {jwtlib.MapClaims{"exp": now.Add(-jwt.Leeway).Unix()}, "has expired"},
				"exp beyond time":    {jwtlib.MapClaims{"exp": -1e300}, "has expired"},
				"exp is text":        {jwtlib.MapClaims{"exp": "2100-01-01"}, "not valid"},
				"not yet":            {jwtlib.MapClaims{"nbf": now.Add(jwt.Leeway + time.Second).Unix()}, "not valid yet"},
				"nbf is text":        {jwtlib.MapClaims{"nbf": "x"}, "not valid"},
				"another issuer":     {jwtlib.MapClaims{"iss": issuer + "x"}, "another issuer"},
				"no issuer":          {jwtlib.MapClaims{"iss": nil}, "lacks a claim"},
				"issuer in an array": {jwtlib.MapClaims{"iss": []string{issuer}}, "not valid"},
				"another audience":   {jwtlib.MapClaims{"aud": []string{"other"}}, "another audience"},
				"no audience":        {jwtlib.MapClaims{"aud": nil}, "lacks a claim"},
				"audience is number": {jwtlib.MapClaims{"aud": 7}, "lacks a claim"},
				"no sub":             {jwtlib.MapClaims{"sub": nil}, "claim sub"},
				"an empty sub":       {jwtlib.MapClaims{"sub": ""}, "claim sub"},
				"a long sub":         {jwtlib.MapClaims{"sub": strings.Repeat("x", 129)}, "claim sub"},
				"a sub with a space": {jwtlib.MapClaims{"sub": "al ice"}, "claim sub"},
				"a sub not ASCII":    {jwtlib.MapClaims{"sub": "älice"}, "claim sub"},
				"a sub with NUL":     {jwtlib.MapClaims{"sub": "al\x00ice"}, "claim sub"},
				"a number as sub":    {jwtlib.MapClaims{"sub": 7}, "claim sub"},
				"scope is an object": {jwtlib.MapClaims{"scope": map[string]any{"call:admin": true}}, "claim scope"},
				"scope of numbers":   {jwtlib.MapClaims{"scope": []any{"call:read", 7}}, "claim scope"},
			} {
				t.Run(name, func(t *testing.T) {
					refused(t, s.verifier, sign(t, s.method, s.key, s.header, claims(test.claims)), test.reason)
				})
			}
		})
	}
}

func TestExpiryIsRequiredOfAProvidersTokens(t *testing.T) {
	for _, s := range signers(t) {
		token := sign(t, s.method, s.key, s.header, claims(jwtlib.MapClaims{"exp": nil}))
		if s.name != "HS256" {
			refused(t, s.verifier, token, "lacks a claim")
			continue
		}
		got, err := s.verifier.Verify(t.Context(), token)
		require.NoError(t, err)
		require.True(t, got.ExpiresAt.IsZero())
	}
}

func TestForgedTokens(t *testing.T) {
	for _, s := range signers(t) {
		t.Run(s.name, func(t *testing.T) {
			good := sign(t, s.method, s.key, s.header, claims(nil))
			other := sign(t, s.method, s.key, s.header, claims(jwtlib.MapClaims{"sub": "root"}))
			header, payload, signature := segment(good, 0), segment(good, 1), segment(good, 2)
			refused(t, s.verifier, header+"."+segment(other, 1)+"."+signature, "no valid signature")
			refused(t, s.verifier, header+"."+payload+".", "no valid signature")
			refused(t, s.verifier, header+"."+payload, "well-formed")
			refused(t, s.verifier, good+".x", "well-formed")
			refused(t, s.verifier, header+".e30."+signature, "no valid signature")
			refused(t, s.verifier, "x.y.z", "well-formed")
			refused(t, s.verifier, strings.Repeat("x", 16<<10)+good, "too long")
			none := sign(t, jwtlib.SigningMethodNone, jwtlib.UnsafeAllowNoneSignatureType, s.header, claims(nil))
			refused(t, s.verifier, none, "no valid signature")
			for _, alg := range []string{"None", "NONE", "nOnE", "", "X"} {
				head := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"` + alg + `","kid":"rsa"}`))
				refused(t, s.verifier, head+"."+payload+".", "is signed in a way")
			}
			refused(t, s.verifier, sign(t, s.method, s.key, with(s.header, "crit", []string{"b64"}), claims(nil)), "critical")
		})
	}
}

func with(header map[string]any, name string, value any) map[string]any {
	merged := map[string]any{name: value}
	for name, value := range header {
		merged[name] = value
	}
	return merged
}

// TestKeysAreNotConfused signs with what anybody can know, or with a key that is meant for something else.
func TestKeysAreNotConfused(t *testing.T) {
	keys := pairs()
	all := signers(t)
	public, shared := all[0].verifier, all[len(all)-1].verifier
	der, err := x509.MarshalPKIXPublicKey(&keys.rsa.PublicKey)
	require.NoError(t, err)
	for name, known := range map[string][]byte{
		"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "modulus": keys.rsa.N.Bytes(),
		"PKCS1": x509.MarshalPKCS1PublicKey(&keys.rsa.PublicKey), "published secret": []byte(secret),
	} {
		for _, id := range []string{"rsa", "ec", "ed", "shared"} {
			t.Run(name+" as secret of "+id, func(t *testing.T) {
				refused(t, public, sign(t, jwtlib.SigningMethodHS256, known, kid(id), claims(nil)), "no valid signature")
			})
		}
		if name != "published secret" {
			refused(t, shared, sign(t, jwtlib.SigningMethodHS256, known, nil, claims(nil)), "no valid signature")
		}
	}
	for name, test := range map[string]struct {
		method jwtlib.SigningMethod
		key    any
		header map[string]any
		reason string
	}{
		"another key's id":        {jwtlib.SigningMethodES256, keys.p256, kid("rsa"), "is signed in a way"},
		"another algorithm's key": {jwtlib.SigningMethodEdDSA, keys.ed, kid("ec"), "no valid signature"},
		"RS512":                   {jwtlib.SigningMethodRS512, keys.rsa, kid("rsa"), "no valid signature"},
		"PS256":                   {jwtlib.SigningMethodPS256, keys.rsa, kid("rsa"), "no valid signature"},
		"ES384":                   {jwtlib.SigningMethodES384, keys.p384, kid("p384"), "no valid signature"},
		"a weak key":              {jwtlib.SigningMethodRS256, keys.weak, kid("weak"), "does not publish"},
		"an encryption key":       {jwtlib.SigningMethodRS256, keys.rsa, kid("encryption"), "does not publish"},
		"an id that is a number":  {jwtlib.SigningMethodRS256, keys.rsa, map[string]any{"kid": 7}, "is signed in a way"},
		"a weak key without id":   {jwtlib.SigningMethodRS256, keys.weak, nil, "no valid signature"},
		"a key of its own":        {jwtlib.SigningMethodRS256, keys.weak, map[string]any{"jwk": map[string]any{"kty": "RSA"}, "jku": "https://evil.example.com"}, "no valid signature"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, public, sign(t, test.method, test.key, test.header, claims(nil)), test.reason)
		})
	}
	refused(t, shared, sign(t, jwtlib.SigningMethodRS256, keys.rsa, kid("rsa"), claims(nil)), "no valid signature")
	refused(t, shared, sign(t, jwtlib.SigningMethodHS512, []byte(secret), nil, claims(nil)), "no valid signature")
}

func TestWhatCanNotBeChecked(t *testing.T) {
	_, err := jwt.NewShared([]byte(secret)[:jwt.MinSecret-1], rules, clock)
	require.ErrorContains(t, err, "at least 32")
	_, err = jwt.NewPublic(jwt.NewKeys(jwt.KeysConfig{}), jwt.Rules{Audience: audience}, clock)
	require.ErrorContains(t, err, "issuer")
	_, err = jwt.NewPublic(jwt.NewKeys(jwt.KeysConfig{}), jwt.Rules{Issuer: issuer}, clock)
	require.ErrorContains(t, err, "audience")
}

func TestSharedSecretNeedsNoIssuerOrAudience(t *testing.T) {
	verifier, err := jwt.NewShared([]byte(secret), jwt.Rules{}, clock)
	require.NoError(t, err)
	got, err := verifier.Verify(t.Context(), sign(t, jwtlib.SigningMethodHS256, []byte(secret), nil, claims(jwtlib.MapClaims{"iss": nil, "aud": nil})))
	require.NoError(t, err)
	require.Equal(t, "alice", got.UserID)
}

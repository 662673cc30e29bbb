package wiring

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/telemetry"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/system"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	sharedSecret = "a secret of thirty-two bytes, or more"
	jwksURL      = "AUTH_JWKS_URL=https://id.example.com/keys"
)

func TestAuthenticationIsNeverLeftOut(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		wrong   []string // names of settings, in order; empty: the settings are good
	}{
		"nothing":                     {nil, []string{"AUTH_HS256_SECRET"}},
		"dev by name":                 {[]string{"AUTH_MODE=dev"}, nil},
		"dev with other spelling":     {[]string{"AUTH_MODE=DEV"}, []string{"AUTH_MODE"}},
		"jwt without keys":            {[]string{"AUTH_MODE=jwt"}, []string{"AUTH_HS256_SECRET"}},
		"a key set":                   {[]string{jwksURL, "AUTH_ISSUER=i", "AUTH_AUDIENCE=a"}, nil},
		"a key set, by name":          {[]string{"AUTH_MODE=jwt", jwksURL, "AUTH_ISSUER=i", "AUTH_AUDIENCE=a"}, nil},
		"a key set for anybody":       {[]string{jwksURL}, []string{"AUTH_ISSUER", "AUTH_AUDIENCE"}},
		"a key set that is no URL":    {[]string{"AUTH_JWKS_URL=/etc/keys", "AUTH_ISSUER=i", "AUTH_AUDIENCE=a"}, []string{"AUTH_JWKS_URL"}},
		"a secret":                    {[]string{"AUTH_HS256_SECRET=" + sharedSecret}, nil},
		"a secret of 32 bytes":        {[]string{"AUTH_HS256_SECRET=" + sharedSecret[:32]}, nil},
		"a secret of 31 bytes":        {[]string{"AUTH_HS256_SECRET=" + sharedSecret[:31]}, []string{"AUTH_HS256_SECRET"}},
		"a key set and a secret":      {[]string{jwksURL, "AUTH_ISSUER=i", "AUTH_AUDIENCE=a", "AUTH_HS256_SECRET=" + sharedSecret}, []string{"AUTH_HS256_SECRET"}},
		"a secret that can't be read": {[]string{"AUTH_HS256_SECRET_FILE=/nowhere"}, []string{"AUTH_HS256_SECRET_FILE"}},
	} {
		t.Run(name, func(t *testing.T) {
			var environ []string
			for _, entry := range environment() {
				if !strings.HasPrefix(entry, "AUTH_") {
					environ = append(environ, entry)
				}
			}
			_, err := config.Load[Settings](append(environ, test.environ...))
			if len(test.wrong) == 0 {
				require.NoError(t, err)
				return
			}
			var invalid *config.InvalidError
			require.ErrorAs(t, err, &invalid)
			var wrong []string
			for _, p := range invalid.Problems {
				wrong = append(wrong, p.Name)
			}
			require.Equal(t, test.wrong, wrong)
			require.NotContains(t, err.Error(), sharedSecret[:31])
		})
	}
}

// authenticator starts what the settings ask for, and stops it when the test ends.
func authenticator(t *testing.T, environ ...string) (httpapi.Authenticator, *httpserver.Health, *bytes.Buffer) {
	t.Helper()
	settings, err := config.Load[Settings](environment(environ...))
	require.NoError(t, err)
	var said bytes.Buffer
	log, err := telemetry.NewLogger(&said, telemetry.FormatText, "info", "test")
	require.NoError(t, err)
	var auth httpapi.Authenticator
	var health *httpserver.Health
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	application := fxtest.New(t,
		fx.Supply(settings, log),
		fx.Provide(httpserver.NewHealth, newAuthenticator, func() ports.Clock { return system.Clock{} }),
		fx.Populate(&auth, &health),
	)
	application.RequireStart()
	t.Cleanup(application.RequireStop)
	return auth, health, &said
}

func bearer(t *testing.T, token string) *http.Request {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	return request
}

func TestDevIsLoud(t *testing.T) {
	auth, _, said := authenticator(t, "AUTH_MODE=dev")
	require.IsType(t, httpapi.DevAuth{}, auth)
	require.Contains(t, said.String(), "level=WARN")
	require.Contains(t, said.String(), "AUTH_MODE=dev")
}

func TestSharedSecret(t *testing.T) {
	auth, _, said := authenticator(t, "AUTH_MODE=jwt", "AUTH_HS256_SECRET="+sharedSecret)
	token, err := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, jwtlib.MapClaims{"sub": "alice"}).SignedString([]byte(sharedSecret))
	require.NoError(t, err)
	principal, err := auth.Authenticate(bearer(t, token))
	require.NoError(t, err)
	require.Equal(t, "alice", principal.UserID)
	require.NotContains(t, said.String(), sharedSecret)
}

// TestIdentityProvider starts without the provider, which comes later.
func TestIdentityProvider(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := jwkset.NewJWKFromKey(&key.PublicKey, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "1"}})
	require.NoError(t, err)
	set, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{public.Marshal()}})
	require.NoError(t, err)
	there := make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-there:
			_, _ = w.Write(set)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(provider.Close)
	auth, health, _ := authenticator(t, "AUTH_MODE=jwt", "AUTH_JWKS_URL="+provider.URL, "AUTH_ISSUER=id", "AUTH_AUDIENCE=callplane")
	unsigned := jwtlib.NewWithClaims(jwtlib.SigningMethodES256, jwtlib.MapClaims{
		"sub": "alice", "iss": "id", "aud": "callplane", "exp": time.Now().Add(time.Hour).Unix(),
	})
	unsigned.Header["kid"] = "1"
	token, err := unsigned.SignedString(key)
	require.NoError(t, err)
	_, err = auth.Authenticate(bearer(t, token))
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.Equal(t, []string{"identity_provider"}, health.Report(context.Background()).Degraded)
	close(there)
	require.Eventually(t, func() bool {
		principal, err := auth.Authenticate(bearer(t, token))
		return err == nil && principal.UserID == "alice"
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "ok", health.Report(context.Background()).Status)
}

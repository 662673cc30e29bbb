package jwt_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/services/sessions/internal/adapters/jwt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://id.example.com/"
	audience = "callplane"
	secret   = "a secret of thirty-two bytes, or more"
)

var (
	now   = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	rules = jwt.Rules{Issuer: issuer, Audience: audience}
)

func clock() time.Time { return now }

// pairs are made once: an RSA key takes a while.
var pairs = sync.OnceValue(func() (p struct {
	rsa, weak *rsa.PrivateKey
	p256      *ecdsa.PrivateKey
	p384      *ecdsa.PrivateKey
	ed        ed25519.PrivateKey
}) {
	var errs [5]error
	p.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	p.weak, errs[1] = rsa.GenerateKey(rand.Reader, 1024)
	p.p256, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.p384, errs[3] = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, p.ed, errs[4] = ed25519.GenerateKey(rand.Reader)
	for _, err := range errs {
		if err != nil {
			panic(err)
		}
	}
	return p
})

// claims are those of a good token, changed by the given ones; nil takes one away.
func claims(changes jwtlib.MapClaims) jwtlib.MapClaims {
	good := jwtlib.MapClaims{"sub": "alice", "iss": issuer, "aud": audience, "exp": now.Add(time.Hour).Unix()}
	for name, value := range changes {
		if value == nil {
			delete(good, name)
		} else {
			good[name] = value
		}
	}
	return good
}

// sign makes a token; header is merged into its own.
func sign(t *testing.T, method jwtlib.SigningMethod, key any, header map[string]any, claims jwtlib.MapClaims) string {
	t.Helper()
	token := jwtlib.NewWithClaims(method, claims)
	for name, value := range header {
		token.Header[name] = value
	}
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

func kid(id string) map[string]any { return map[string]any{"kid": id} }

// published is a key as a provider shows it.
func published(t *testing.T, key any, id string, metadata jwkset.JWKMetadataOptions) json.RawMessage {
	t.Helper()
	metadata.KID = id
	made, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: metadata, Marshal: jwkset.JWKMarshalOptions{Private: true}})
	require.NoError(t, err)
	text, err := json.Marshal(made.Marshal())
	require.NoError(t, err)
	return text
}

// provider is an identity provider with keys that a test can change, and that can be away.
type provider struct {
	*httptest.Server

	asked  atomic.Int32
	answer atomic.Pointer[string] // nil: it is away (500)
	gate   atomic.Pointer[chan struct{}]
}

func newProvider(t *testing.T, keys ...json.RawMessage) *provider {
	t.Helper()
	p := &provider{}
	p.publish(t, keys...)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if gate := p.gate.Load(); gate != nil {
			select {
			case <-*gate:
			case <-r.Context().Done():
				return
			}
		}
		if text := p.answer.Load(); text != nil {
			_, _ = w.Write([]byte(*text))
			return
		}
		http.Error(w, "away", http.StatusInternalServerError)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) publish(t *testing.T, keys ...json.RawMessage) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	p.say(string(text))
}

func (p *provider) say(text string) { p.answer.Store(&text) }

func (p *provider) goAway() { p.answer.Store(nil) }

// everyKey are keys for each accepted algorithm, and some that must never verify a token.
func everyKey(t *testing.T) []json.RawMessage {
	t.Helper()
	keys := pairs()
	return []json.RawMessage{
		published(t, &keys.rsa.PublicKey, "rsa", jwkset.JWKMetadataOptions{ALG: jwkset.AlgRS256, USE: jwkset.UseSig}),
		published(t, &keys.p256.PublicKey, "ec", jwkset.JWKMetadataOptions{}),
		published(t, keys.ed.Public(), "ed", jwkset.JWKMetadataOptions{USE: jwkset.UseSig}),
		published(t, []byte(secret), "shared", jwkset.JWKMetadataOptions{}),
		published(t, &keys.weak.PublicKey, "weak", jwkset.JWKMetadataOptions{}),
		published(t, &keys.p384.PublicKey, "p384", jwkset.JWKMetadataOptions{}),
		published(t, &keys.rsa.PublicKey, "encryption", jwkset.JWKMetadataOptions{USE: jwkset.UseEnc}),
		json.RawMessage(`{"kty":"RSA","kid":"damaged","n":"","e":""}`),
		json.RawMessage(`{"kty":"future","kid":"unknown"}`),
	}
}

func publicVerifier(t *testing.T, keys *jwt.Keys) *jwt.Verifier {
	t.Helper()
	verifier, err := jwt.NewPublic(keys, rules, clock)
	require.NoError(t, err)
	return verifier
}

func segment(token string, i int) string { return strings.Split(token, ".")[i] }

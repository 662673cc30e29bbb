package jwt_test

import (
	"context"
	"encoding/base64"
	"testing"

	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/adapters/jwt"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// FuzzVerify gives the verifier any text for a token, and then the same text as the claims and as the header of one that is signed. Whoever is
// let in is a user that there can be; every refusal is the caller's fault.
func FuzzVerify(f *testing.F) {
	for _, seed := range []string{
		"", ".", "..", "a.b.c", `{"alg":"none","typ":"JWT"}`, `{"alg":"HS256"}`, `{"alg":"HS256","crit":["b64"],"b64":false}`,
		`{"sub":"alice","iss":"https://id.example.com/","aud":"callplane","exp":1777640400}`,
		`{"sub":"alice","iss":"https://id.example.com/","aud":["x","callplane"],"exp":1.7776404e9,"scope":"call:read call:admin"}`,
		`{"sub":"","exp":1777640400}`, `{"sub":1}`, `{"sub":"a\u0000b","exp":1e999}`, `{"sub":"alice","exp":-1}`, `{"exp":"soon"}`, `{"scope":["call:read",1]}`, `[]`, `null`,
	} {
		f.Add(seed)
	}
	verifier, err := jwt.NewShared([]byte(secret), rules, clock)
	require.NoError(f, err)
	encode := base64.RawURLEncoding.EncodeToString
	signed := func(t *testing.T, header, claims string) string {
		t.Helper()
		text := encode([]byte(header)) + "." + encode([]byte(claims))
		signature, err := jwtlib.SigningMethodHS256.Sign(text, []byte(secret))
		require.NoError(t, err)
		return text + "." + encode(signature)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, token := range []string{text, signed(t, `{"alg":"HS256","typ":"JWT"}`, text), signed(t, text, `{"sub":"alice"}`)} {
			caller, err := verifier.Verify(context.Background(), token)
			if err == nil {
				require.True(t, domain.ValidUserID(caller.UserID))
				continue
			}
			var invalid *ports.InvalidTokenError
			require.ErrorAs(t, err, &invalid)
			require.NotEmpty(t, invalid.Reason)
			require.Regexp(t, `^[ -!#-\[\]-~]+$`, invalid.Reason, "it goes into a header, in quotes")
		}
	})
}

package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/MicahParks/jwkset"
)

// maxKeySet bounds what is read of a JWK set, in bytes.
const maxKeySet = 1 << 20

// minRSA is how long an RSA key is at least, in bits (RFC 7518, section 3.3).
const minRSA = 2048

// download returns the keys of a JWK set that can verify tokens. A set without any is an error: it must not take the place of a good one.
func download(ctx context.Context, client *http.Client, url string) ([]jwkset.JWK, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the key set: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for the key set: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for the key set: the answer is %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	if len(text) > maxKeySet {
		return nil, fmt.Errorf("read the key set: it has more than %d bytes", maxKeySet)
	}
	return usableKeys(text)
}

// usableKeys passes over keys of other kinds and uses, which a provider may publish in the same set, and over those that are damaged.
func usableKeys(text []byte) ([]jwkset.JWK, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	var keys []jwkset.JWK
	for _, raw := range set.Keys {
		key, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err == nil && verifies(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("read the key set: it has no key for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// verifies says whether a key is one for signatures of the accepted algorithms.
func verifies(key jwkset.JWK) bool {
	if use := key.Marshal().USE; use != "" && use != jwkset.UseSig {
		return false
	}
	switch public := key.Key().(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return public.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return true
	default:
		return false
	}
}

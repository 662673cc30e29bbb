package jwt_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	jwtlib "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/adapters/jwt"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const patience = 10 * time.Second

// run keeps the keys until the test ends.
func run(t *testing.T, keys *jwt.Keys) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- keys.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

func ecKey(t *testing.T, id string) json.RawMessage {
	t.Helper()
	return published(t, &pairs().p256.PublicKey, id, jwkset.JWKMetadataOptions{})
}

func ecToken(t *testing.T, id string) string {
	t.Helper()
	return sign(t, jwtlib.SigningMethodES256, pairs().p256, kid(id), claims(nil))
}

func accepted(t *testing.T, verifier ports.CallerTokens, token string) {
	t.Helper()
	got, err := verifier.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, "alice", got.UserID)
}

func unavailable(t *testing.T, verifier ports.CallerTokens, token string) {
	t.Helper()
	got, err := verifier.Verify(t.Context(), token)
	require.ErrorIs(t, err, ports.ErrUnavailable)
	require.Equal(t, domain.Principal{}, got)
}

func TestKnownKeysAreNotFetchedAgain(t *testing.T) {
	p := newProvider(t, ecKey(t, "1"))
	keys := jwt.NewKeys(jwt.KeysConfig{URL: p.URL})
	require.Error(t, keys.Check(t.Context()))
	run(t, keys)
	require.Eventually(t, func() bool { return keys.Check(t.Context()) == nil }, patience, time.Millisecond)
	verifier := publicVerifier(t, keys)
	for range 20 {
		accepted(t, verifier, ecToken(t, "1"))
	}
	require.EqualValues(t, 1, p.asked.Load())
}

func TestRotation(t *testing.T) {
	p := newProvider(t, ecKey(t, "1"))
	verifier := publicVerifier(t, jwt.NewKeys(jwt.KeysConfig{URL: p.URL, Pause: time.Nanosecond}))
	accepted(t, verifier, ecToken(t, "1"))
	p.publish(t, ecKey(t, "2"))
	accepted(t, verifier, ecToken(t, "1"))
	accepted(t, verifier, ecToken(t, "2"))
	refused(t, verifier, ecToken(t, "1"), "does not publish")
}

func TestBackgroundRefreshTakesRevokedKeysAway(t *testing.T) {
	p := newProvider(t, ecKey(t, "1"))
	keys := jwt.NewKeys(jwt.KeysConfig{URL: p.URL, Refresh: time.Millisecond})
	run(t, keys)
	verifier := publicVerifier(t, keys)
	token := ecToken(t, "1")
	require.Eventually(t, func() bool { _, err := verifier.Verify(t.Context(), token); return err == nil }, patience, time.Millisecond)
	p.publish(t, ecKey(t, "2"))
	require.Eventually(t, func() bool { _, err := verifier.Verify(t.Context(), token); return err != nil }, patience, time.Millisecond)
	accepted(t, verifier, ecToken(t, "2"))
}

// TestBurstOfUnknownKeysAsksOnce holds the provider's answer back until everybody waits for it.
func TestBurstOfUnknownKeysAsksOnce(t *testing.T) {
	p := newProvider(t, ecKey(t, "1"))
	keys := jwt.NewKeys(jwt.KeysConfig{URL: p.URL, Pause: time.Hour, Timeout: patience})
	verifier := publicVerifier(t, keys)
	gate := make(chan struct{})
	p.gate.Store(&gate)
	const callers = 50
	var started, ended sync.WaitGroup
	errs := make([]error, callers)
	good, bad := ecToken(t, "1"), ecToken(t, "made up")
	for i := range callers {
		token := good
		if i%2 == 1 {
			token = bad
		}
		started.Add(1)
		ended.Go(func() {
			started.Done()
			_, errs[i] = verifier.Verify(t.Context(), token)
		})
	}
	started.Wait()
	close(gate)
	ended.Wait()
	for i, err := range errs {
		if i%2 == 0 {
			require.NoError(t, err)
			continue
		}
		var invalid *ports.InvalidTokenError
		require.ErrorAs(t, err, &invalid)
	}
	require.EqualValues(t, 1, p.asked.Load())
	p.publish(t, ecKey(t, "2"))
	refused(t, verifier, ecToken(t, "2"), "does not publish")
	require.EqualValues(t, 1, p.asked.Load(), "no more often than the pause allows")
}

func TestProviderAwayAtTheStart(t *testing.T) {
	p := newProvider(t)
	p.goAway()
	keys := jwt.NewKeys(jwt.KeysConfig{URL: p.URL, Pause: time.Nanosecond})
	run(t, keys)
	verifier := publicVerifier(t, keys)
	unavailable(t, verifier, ecToken(t, "1"))
	unavailable(t, verifier, sign(t, jwtlib.SigningMethodES256, pairs().p256, nil, claims(nil)))
	refused(t, verifier, sign(t, jwtlib.SigningMethodHS256, []byte(secret), kid("1"), claims(nil)), "no valid signature")
	p.publish(t, ecKey(t, "1"))
	accepted(t, verifier, ecToken(t, "1"))
	require.NoError(t, keys.Check(t.Context()))
}

func TestProviderComesBackWithoutBeingAskedFor(t *testing.T) {
	p := newProvider(t)
	p.goAway()
	keys := jwt.NewKeys(jwt.KeysConfig{URL: p.URL})
	run(t, keys)
	require.Eventually(t, func() bool { return p.asked.Load() > 0 }, patience, time.Millisecond)
	p.publish(t, ecKey(t, "1"))
	require.Eventually(t, func() bool { return keys.Check(t.Context()) == nil }, patience, time.Millisecond)
}

func TestProviderAwayAfterTheStart(t *testing.T) {
	p := newProvider(t, ecKey(t, "1"))
	keys := jwt.NewKeys(jwt.KeysConfig{URL: p.URL, Pause: time.Nanosecond})
	verifier := publicVerifier(t, keys)
	accepted(t, verifier, ecToken(t, "1"))
	p.goAway()
	unavailable(t, verifier, ecToken(t, "2")) // It may be a new key's: nobody can tell.
	require.Error(t, keys.Check(t.Context()))
	accepted(t, verifier, ecToken(t, "1"))
	for name, nonsense := range map[string]string{
		"an error page": "<html>", "no keys": `{}`, "none for us": `{"keys":[{"kty":"oct","kid":"1","k":"AAAA"}]}`, "another shape": `{"keys":7}`,
		"too long": `{"keys":[]` + string(make([]byte, 1<<20)) + `}`,
	} {
		p.say(nonsense)
		unavailable(t, verifier, ecToken(t, name))
		accepted(t, verifier, ecToken(t, "1"))
	}
	p.Close()
	unavailable(t, verifier, ecToken(t, "2"))
	accepted(t, verifier, ecToken(t, "1"))
}

func TestAProviderThatDoesNotAnswerHoldsNobodyForLong(t *testing.T) {
	p := newProvider(t, ecKey(t, "1"))
	gate := make(chan struct{})
	defer close(gate)
	p.gate.Store(&gate)
	keys := jwt.NewKeys(jwt.KeysConfig{URL: p.URL, Timeout: 20 * time.Millisecond, Pause: time.Hour})
	run(t, keys)
	verifier := publicVerifier(t, keys)
	unavailable(t, verifier, ecToken(t, "1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := verifier.Verify(ctx, ecToken(t, "1"))
	require.ErrorIs(t, err, ports.ErrUnavailable, "a caller who is gone proves nothing about the token")
}

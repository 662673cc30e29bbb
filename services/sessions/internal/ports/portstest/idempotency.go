package portstest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// KeyedUnderTest is an empty store of sessions that remembers keys.
type KeyedUnderTest struct {
	StoreUnderTest
	Keys ports.IdempotencyStore
}

// IdempotencyStore is the suite of ports.IdempotencyStore. open is called once a test.
func IdempotencyStore(t *testing.T, open func(t *testing.T) KeyedUnderTest) {
	for name, test := range map[string]func(*testing.T, KeyedUnderTest){
		"a repeat gets the first response and has no effect": testRepeat,
		"a key stands for one request":                       testKeyReused,
		"keys are the caller's own":                          testKeysOfOthers,
		"work that fails leaves neither effect nor key":      testKeyedWorkFails,
		"a key is new again after its time":                  testKeyExpires,
		"keys that have served their time are removed":       testForget,
		"racing repeats have one effect and one response":    testRacingRepeats,
		"a repeat that waits too long is told so":            testInProgress,
		"a repeat takes over from a first that fails":        testTakesOver,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

const kept = 24 * time.Hour

func keyedRequest(user, key, body string) ports.KeyedRequest {
	return ports.KeyedRequest{UserID: user, Key: key, Fingerprint: sha256.Sum256([]byte(body)), At: Start, KeepUntil: Start.Add(kept)}
}

// creation is work that creates a session and responds with its id.
func creation(ctx context.Context, t testing.TB) func(ports.SessionStore) (ports.Response, error) {
	return func(store ports.SessionStore) (ports.Response, error) {
		session, log := NewSession(t)
		if _, err := store.Create(ctx, session, log); err != nil {
			return ports.Response{}, err
		}
		return ports.Response{
			Status: 201, Headers: map[string]string{"ETag": `"1"`, "Location": "/" + session.ID()}, Body: []byte(`{"id":"` + session.ID() + "\"}\n"),
		}, nil
	}
}

func untouched(t testing.TB) func(ports.SessionStore) (ports.Response, error) {
	return func(ports.SessionStore) (ports.Response, error) {
		t.Error("the work of a repeat was called")
		return ports.Response{}, errOnPurpose
	}
}

// first makes the request, which must not be a repeat.
func first(t *testing.T, s KeyedUnderTest, request ports.KeyedRequest) ports.Response {
	t.Helper()
	response, replayed, err := s.Keys.Once(t.Context(), request, creation(t.Context(), t))
	require.NoError(t, err)
	require.False(t, replayed)
	return response
}

func testRepeat(t *testing.T, s KeyedUnderTest) {
	request := keyedRequest("alice", "k", "a")
	response := first(t, s, request)
	request.At = Start.Add(kept - time.Microsecond)
	again, replayed, err := s.Keys.Once(t.Context(), request, untouched(t))
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, response, again)
	require.Len(t, s.Outbox(), 1)
	_, err = s.Store.Get(t.Context(), ports.System(), response.Headers["Location"][1:])
	require.NoError(t, err)
}

func testKeyReused(t *testing.T, s KeyedUnderTest) {
	first(t, s, keyedRequest("alice", "k", "a"))
	_, _, err := s.Keys.Once(t.Context(), keyedRequest("alice", "k", "b"), untouched(t))
	require.ErrorIs(t, err, ports.ErrIdempotencyKeyReused)
	require.Len(t, s.Outbox(), 1)
}

func testKeysOfOthers(t *testing.T, s KeyedUnderTest) {
	mine := first(t, s, keyedRequest("alice", "k", "a"))
	theirs := first(t, s, keyedRequest("bob", "k", "a"))
	other := first(t, s, keyedRequest("alice", "K", "a"))
	require.NotEqual(t, mine, theirs)
	require.NotEqual(t, mine, other)
	require.Len(t, s.Outbox(), 3)
}

func testKeyedWorkFails(t *testing.T, s KeyedUnderTest) {
	request := keyedRequest("alice", "k", "a")
	var id string
	_, _, err := s.Keys.Once(t.Context(), request, func(store ports.SessionStore) (ports.Response, error) {
		response, err := creation(t.Context(), t)(store)
		require.NoError(t, err)
		id = response.Headers["Location"][1:]
		_, err = store.Get(t.Context(), ports.System(), id)
		require.NoError(t, err, "the work sees what it did")
		return ports.Response{}, errOnPurpose
	})
	require.ErrorIs(t, err, errOnPurpose)
	_, err = s.Store.Get(t.Context(), ports.System(), id)
	require.ErrorIs(t, err, domain.ErrNotFound)
	require.Empty(t, s.Outbox())
	first(t, s, request)
	require.Len(t, s.Outbox(), 1)
}

func testKeyExpires(t *testing.T, s KeyedUnderTest) {
	request := keyedRequest("alice", "k", "a")
	response := first(t, s, request)
	later := keyedRequest("alice", "k", "b")
	later.At, later.KeepUntil = request.KeepUntil, request.KeepUntil.Add(kept)
	require.NotEqual(t, response, first(t, s, later))
	later.At = later.KeepUntil.Add(-time.Microsecond)
	_, replayed, err := s.Keys.Once(t.Context(), later, untouched(t))
	require.NoError(t, err)
	require.True(t, replayed)
}

func testForget(t *testing.T, s KeyedUnderTest) {
	for i := range 5 {
		request := keyedRequest("alice", fmt.Sprint(i), "a")
		request.KeepUntil = Start.Add(time.Duration(i+1) * time.Hour)
		first(t, s, request)
	}
	for _, want := range []int{2, 1, 0} {
		forgotten, err := s.Keys.Forget(t.Context(), Start.Add(3*time.Hour), 2)
		require.NoError(t, err)
		require.Equal(t, want, forgotten)
	}
	_, replayed, err := s.Keys.Once(t.Context(), keyedRequest("alice", "3", "a"), untouched(t))
	require.NoError(t, err)
	require.True(t, replayed)
	first(t, s, keyedRequest("alice", "2", "a"))
	require.Len(t, s.Outbox(), 6, "the sessions stay")
}

// OncePatiently makes the request as a client does that heeds Retry-After: on a busy machine the first may take longer than a repeat waits,
// and so may a connection.
func OncePatiently(
	ctx context.Context, keys ports.IdempotencyStore, request ports.KeyedRequest, work func(ports.SessionStore) (ports.Response, error),
) (response ports.Response, replayed bool, err error) {
	for range 10 {
		response, replayed, err = keys.Once(ctx, request, work)
		if !errors.Is(err, ports.ErrIdempotencyInProgress) && !errors.Is(err, ports.ErrUnavailable) {
			break
		}
	}
	return response, replayed, err
}

func testRacingRepeats(t *testing.T, s KeyedUnderTest) {
	const callers = 50
	responses := make([]ports.Response, callers)
	firsts := make([]bool, callers)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range callers {
		group.Go(func() error {
			response, replayed, err := OncePatiently(ctx, s.Keys, keyedRequest("alice", "k", "a"), creation(ctx, t))
			responses[i], firsts[i] = response, !replayed
			return err
		})
	}
	require.NoError(t, group.Wait())
	made := 0
	for i, response := range responses {
		require.Equal(t, responses[0], response)
		if firsts[i] {
			made++
		}
	}
	require.Equal(t, 1, made)
	require.Len(t, s.Outbox(), 1)
}

// held starts a request whose work does not end before release is called with its result.
func held(t *testing.T, s KeyedUnderTest, request ports.KeyedRequest) (release func(error), ended <-chan error) {
	t.Helper()
	working, result, done := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := s.Keys.Once(t.Context(), request, func(store ports.SessionStore) (ports.Response, error) {
			close(working)
			if err := <-result; err != nil {
				return ports.Response{}, err
			}
			return creation(t.Context(), t)(store)
		})
		done <- err
	}()
	<-working
	return func(err error) { result <- err }, done
}

func testInProgress(t *testing.T, s KeyedUnderTest) {
	request := keyedRequest("alice", "k", "a")
	release, ended := held(t, s, request)
	began := time.Now()
	_, _, err := s.Keys.Once(t.Context(), request, untouched(t))
	waited := time.Since(began)
	release(nil)
	require.ErrorIs(t, err, ports.ErrIdempotencyInProgress)
	require.GreaterOrEqual(t, waited, ports.IdempotencyPatience-100*time.Millisecond)
	require.NoError(t, <-ended)
	_, replayed, err := s.Keys.Once(t.Context(), request, untouched(t))
	require.NoError(t, err)
	require.True(t, replayed)
}

func testTakesOver(t *testing.T, s KeyedUnderTest) {
	request := keyedRequest("alice", "k", "a")
	release, ended := held(t, s, request)
	second := make(chan error, 1)
	go func() {
		_, _, err := s.Keys.Once(t.Context(), request, creation(t.Context(), t))
		second <- err
	}()
	release(errOnPurpose)
	require.ErrorIs(t, <-ended, errOnPurpose)
	require.NoError(t, <-second)
	require.Len(t, s.Outbox(), 1)
}

package jwt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// KeysConfig shapes Keys. A zero field takes the default in brackets.
type KeysConfig struct {
	URL     string // of the provider's JWK set (RFC 7517, section 5)
	Log     *slog.Logger
	Refresh time.Duration // how old keys may become [15 min]
	Pause   time.Duration // between two fetches that tokens with unknown keys cause [10 s]
	Timeout time.Duration // of a fetch [5 s]
}

func (c KeysConfig) withDefaults() KeysConfig {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Refresh == 0 {
		c.Refresh = 15 * time.Minute
	}
	if c.Pause == 0 {
		c.Pause = 10 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	return c
}

// Keys are an identity provider's public keys. They are kept while Run runs, and fetched at once for a token that names an unknown one,
// which is how a rotation shows, though not more often than the pause allows. While the provider is away the keys that are known serve on.
type Keys struct {
	*jwkset.MemoryJWKSet // what was fetched last

	config KeysConfig
	client *http.Client
	pause  *rate.Limiter
	turn   *semaphore.Weighted // for one fetch at a time

	mu      sync.Mutex
	fetched time.Time // when it last went well
	failure error     // of the last fetch
}

var errNotFetched = errors.New("not fetched yet")

// NewKeys returns keys that Run has to fetch.
func NewKeys(config KeysConfig) *Keys {
	config = config.withDefaults()
	return &Keys{
		MemoryJWKSet: jwkset.NewMemoryStorage(),
		config:       config,
		// Connections are not kept: nothing is to be left when Run ends, and the next fetch is far away.
		client:  &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}},
		pause:   rate.NewLimiter(rate.Every(config.Pause), 1),
		turn:    semaphore.NewWeighted(1),
		failure: errNotFetched,
	}
}

// Run keeps the keys fresh until ctx ends, and returns nil then.
func (k *Keys) Run(ctx context.Context) error {
	for {
		_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, k.fetchInTurn(ctx) },
			backoff.WithBackOff(&backoff.ExponentialBackOff{
				InitialInterval: time.Second, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Minute,
			}),
			backoff.WithMaxElapsedTime(0), // for ever
			backoff.WithNotify(func(err error, wait time.Duration) {
				k.config.Log.WarnContext(ctx, "the identity provider's keys could not be fetched; those that are known serve on",
					slog.Any("error", err), slog.Duration("retry_in", wait))
			}))
		if err != nil { // It gives up only when it is told to.
			return nil //nolint:nilerr // Being told to stop is no failure.
		}
		select {
		case <-time.After(k.config.Refresh):
		case <-ctx.Done():
			return nil
		}
	}
}

// Check returns nil while the last fetch went well.
func (k *Keys) Check(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// KeyRead implements jwkset.Storage: it returns the key of an id, jwkset.ErrKeyNotFound or ports.ErrUnavailable.
func (k *Keys) KeyRead(ctx context.Context, id string) (jwkset.JWK, error) {
	key, err := k.MemoryJWKSet.KeyRead(ctx, id)
	if !errors.Is(err, jwkset.ErrKeyNotFound) {
		return key, err //nolint:wrapcheck // It is the library that reads it.
	}
	if err := k.refresh(ctx); err != nil {
		return jwkset.JWK{}, err
	}
	return k.MemoryJWKSet.KeyRead(ctx, id) //nolint:wrapcheck // It is the library that reads it.
}

// KeyReadAll implements jwkset.Storage, for tokens that name no key: it returns all keys, or ports.ErrUnavailable where none are known.
func (k *Keys) KeyReadAll(ctx context.Context) ([]jwkset.JWK, error) {
	keys, err := k.MemoryJWKSet.KeyReadAll(ctx)
	if err != nil || len(keys) > 0 {
		return keys, err //nolint:wrapcheck // It is the library that reads it.
	}
	if err := k.refresh(ctx); err != nil {
		return nil, err
	}
	return k.MemoryJWKSet.KeyReadAll(ctx) //nolint:wrapcheck // It is the library that reads it.
}

// refresh makes sure that the keys are as fresh as the pause allows. Callers at the same time share one fetch. Where the last one failed a
// missing key proves nothing about a token: ports.ErrUnavailable.
func (k *Keys) refresh(ctx context.Context) error {
	asked := time.Now()
	if err := k.turn.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for the identity provider's keys: %w: %w", ports.ErrUnavailable, err)
	}
	defer k.turn.Release(1)
	if !k.fetchedAfter(asked) && k.pause.Allow() {
		_ = k.fetch(context.WithoutCancel(ctx)) // Check returns its error. Others wait for it too, so it outlives the one who asked first.
	}
	if err := k.Check(ctx); err != nil {
		return fmt.Errorf("fetch the identity provider's keys: %w: %w", ports.ErrUnavailable, err)
	}
	return nil
}

func (k *Keys) fetchedAfter(moment time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fetched.After(moment)
}

// fetchInTurn fetches when no one else does.
func (k *Keys) fetchInTurn(ctx context.Context) error {
	if err := k.turn.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for the turn: %w", err)
	}
	defer k.turn.Release(1)
	return k.fetch(ctx)
}

// fetch replaces the keys by what the provider publishes now. Keys that are gone from there are no longer trusted.
func (k *Keys) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.config.Timeout)
	defer cancel()
	keys, err := download(ctx, k.client, k.config.URL)
	if err == nil {
		err = k.KeyReplaceAll(ctx, keys)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failure = err
	if err == nil {
		k.fetched = time.Now()
	}
	return err //nolint:wrapcheck // download says what was done.
}

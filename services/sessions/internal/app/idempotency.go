package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	keysKept  = 24 * time.Hour // long enough for any client that retries, a phone that was off overnight too
	keysBatch = 1000
)

// Idempotency makes a use case one that its caller may repeat: however often the request comes, it has its effect once, and its response
// is the one of the first time. Done is what the use case returns.
type Idempotency[Done any] struct {
	Key         string                             // 1 to 255 visible ASCII characters
	Fingerprint [sha256.Size]byte                  // of the whole request: what tells it from another one with the same key
	Respond     func(Done) (ports.Response, error) // what the caller is told; it has no effect of its own
}

func (i Idempotency[Done]) requestOf(caller domain.Principal, now time.Time) ports.KeyedRequest {
	return ports.KeyedRequest{UserID: caller.UserID, Key: i.Key, Fingerprint: i.Fingerprint, At: now, KeepUntil: now.Add(keysKept)}
}

// ForgetKeys removes idempotency keys that have served their time.
type ForgetKeys struct {
	Store ports.IdempotencyStore
	Clock ports.Clock
	Log   *slog.Logger
	Every time.Duration
}

// Run works until ctx ends, and returns nil then.
func (uc ForgetKeys) Run(ctx context.Context) error {
	ticker := time.NewTicker(uc.Every)
	defer ticker.Stop()
	for {
		if err := uc.Do(ctx); err != nil && ctx.Err() == nil {
			uc.Log.WarnContext(ctx, "old idempotency keys can't be removed, trying again later", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Do removes, in small transactions, all that are too old.
func (uc ForgetKeys) Do(ctx context.Context) error {
	now := uc.Clock.Now()
	for {
		forgotten, err := uc.Store.Forget(ctx, now, keysBatch)
		if err != nil {
			return fmt.Errorf("removing old idempotency keys: %w", err)
		}
		if forgotten < keysBatch {
			return nil
		}
	}
}

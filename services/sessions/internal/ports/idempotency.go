package ports

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// What keeps a request with a key from being answered.
var (
	// ErrIdempotencyInProgress: a request with the same key is being worked on, and has not ended in IdempotencyPatience.
	ErrIdempotencyInProgress = errors.New("a request with the same idempotency key is in progress")
	// ErrIdempotencyKeyReused: the caller has used the key for another request.
	ErrIdempotencyKeyReused = errors.New("the idempotency key was used for another request")
)

// IdempotencyPatience is how long a repeat waits for the request that came first.
const IdempotencyPatience = 2 * time.Second

// KeyedRequest is a request that its caller may repeat without repeating its effect.
type KeyedRequest struct {
	UserID      string // keys are the caller's own
	Key         string // 1 to 255 visible ASCII characters
	Fingerprint [sha256.Size]byte
	At          time.Time
	KeepUntil   time.Time // from then on the key is new again
}

// Response is what a caller was told, kept for repeats of the request.
type Response struct {
	Status  int // 200 to 299
	Headers map[string]string
	Body    []byte
}

// IdempotencyStore remembers the responses of requests with keys. Every method may return ErrUnavailable. Safe for concurrent use.
type IdempotencyStore interface {
	// Once returns the response of the request that came first with this key; where there is none, it lets work make it, and keeps the
	// response together with what work did to the store that it is given, or neither. While work goes on for the same key, a repeat
	// waits. Errors: those of work, as they are; ErrIdempotencyInProgress, ErrIdempotencyKeyReused.
	Once(ctx context.Context, request KeyedRequest, work func(SessionStore) (Response, error)) (response Response, replayed bool, err error)

	// Forget removes at most limit keys that are kept until now or less, and returns how many.
	Forget(ctx context.Context, now time.Time, limit int) (int, error)
}

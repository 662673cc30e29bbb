package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// keyName tells the keys of callers apart.
type keyName struct{ userID, key string }

// keyed is a request that was answered.
type keyed struct {
	request  ports.KeyedRequest
	response ports.Response
}

var _ ports.IdempotencyStore = (*Store)(nil)

// Once implements ports.IdempotencyStore.
func (s *Store) Once(
	ctx context.Context, request ports.KeyedRequest, work func(ports.SessionStore) (ports.Response, error),
) (response ports.Response, replayed bool, err error) {
	name := keyName{request.UserID, request.Key}
	release, err := s.claim(ctx, name)
	if err != nil {
		return ports.Response{}, false, err
	}
	defer release()
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, known := s.keys[name]; known && first.request.KeepUntil.After(request.At) {
		if first.request.Fingerprint != request.Fingerprint {
			return ports.Response{}, false, ports.ErrIdempotencyKeyReused
		}
		return copied(first.response), true, nil
	}
	transaction := s.copied()
	response, err = work(transaction)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return ports.Response{}, false, err
	}
	s.sessions, s.outbox, s.quarantine = transaction.sessions, transaction.outbox, transaction.quarantine
	s.keys[name] = keyed{request, copied(response)}
	return response, false, nil
}

// Forget implements ports.IdempotencyStore.
func (s *Store) Forget(_ context.Context, now time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	forgotten := 0
	for name, k := range s.keys {
		if forgotten < limit && !k.request.KeepUntil.After(now) {
			delete(s.keys, name)
			forgotten++
		}
	}
	return forgotten, nil
}

// claim keeps others with the same key waiting until release is called.
func (s *Store) claim(ctx context.Context, name keyName) (release func(), err error) {
	patience, cancel := context.WithTimeout(ctx, ports.IdempotencyPatience)
	defer cancel()
	for {
		ended, mine := s.tryClaim(name)
		if mine {
			return func() { s.release(name) }, nil
		}
		select {
		case <-ended:
		case <-patience.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, ports.ErrIdempotencyInProgress
		}
	}
}

// tryClaim returns the channel that is closed when the request that has the key ends, and whether the key is now the caller's.
func (s *Store) tryClaim(name keyName) (ended <-chan struct{}, mine bool) {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	if theirs, taken := s.claims[name]; taken {
		return theirs, false
	}
	s.claims[name] = make(chan struct{})
	return s.claims[name], true
}

func (s *Store) release(name keyName) {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	close(s.claims[name])
	delete(s.claims, name)
}

// copied returns a store with the same content, to work on and to throw away where the work fails.
func (s *Store) copied() *Store {
	c := NewStore()
	for id, kept := range s.sessions {
		k := *kept
		k.log, k.loggedAt = slices.Clone(kept.log), slices.Clone(kept.loggedAt)
		k.since, k.former = maps.Clone(kept.since), slices.Clone(kept.former)
		c.sessions[id] = &k
	}
	c.outbox, c.quarantine = slices.Clone(s.outbox), slices.Clone(s.quarantine)
	return c
}

func copied(r ports.Response) ports.Response {
	r.Headers, r.Body = maps.Clone(r.Headers), bytes.Clone(r.Body)
	return r
}

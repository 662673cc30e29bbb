package app_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

func (b *bundle) createOnce(key string) (response ports.Response, replayed bool) {
	b.t.Helper()
	uc := app.CreateSession{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters, Keys: b.store}
	response, replayed, err := uc.DoOnce(b.t.Context(), alice, domain.Spec{}, app.Idempotency[ports.View]{
		Key: key, Respond: func(view ports.View) (ports.Response, error) {
			return ports.Response{Status: 201, Body: []byte(view.Session.ID())}, nil
		},
	})
	require.NoError(b.t, err)
	return response, replayed
}

func TestKeysAreForgottenAfterADay(t *testing.T) {
	b := setup(t)
	uc := app.ForgetKeys{Store: b.store, Clock: b.clock}
	first, _ := b.createOnce("k")
	b.clock.Advance(24*time.Hour - time.Microsecond)
	require.NoError(t, uc.Do(t.Context()))
	again, replayed := b.createOnce("k")
	require.True(t, replayed)
	require.Equal(t, first, again)
	b.clock.Advance(time.Microsecond)
	require.NoError(t, uc.Do(t.Context()))
	left, err := b.store.Forget(t.Context(), b.clock.Now(), 1)
	require.NoError(t, err)
	require.Zero(t, left)
	_, replayed = b.createOnce("k")
	require.False(t, replayed)
}

// manyKeys holds more old keys than go at once, and fails at first.
type manyKeys struct {
	ports.IdempotencyStore
	left  int
	fails int
	empty chan struct{}
}

func (m *manyKeys) Forget(_ context.Context, _ time.Time, limit int) (int, error) {
	if m.fails > 0 {
		m.fails--
		return 0, errors.New("on purpose")
	}
	gone := min(limit, m.left)
	m.left -= gone
	if m.left == 0 && m.empty != nil {
		close(m.empty)
		m.empty = nil
	}
	return gone, nil
}

func TestForgettingGoesOnAfterAFailureUntilItIsStopped(t *testing.T) {
	var log bytes.Buffer
	b := setup(t)
	empty := make(chan struct{})
	keys := &manyKeys{left: 2500, fails: 1, empty: empty}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	uc := app.ForgetKeys{Store: keys, Clock: b.clock, Log: slog.New(slog.NewTextHandler(&log, nil)), Every: time.Millisecond}
	go func() { done <- uc.Run(ctx) }()
	<-empty
	stop()
	require.NoError(t, <-done)
	require.Contains(t, log.String(), "on purpose")
}

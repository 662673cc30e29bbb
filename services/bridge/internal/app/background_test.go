package app_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// rooms fails to delete as often as it is told to.
type rooms struct {
	mu      sync.Mutex
	failing int
	deleted []string
	slow    string // a room of which the answer comes when gate is closed
	gate    chan struct{}
}

func (r *rooms) Delete(ctx context.Context, room string) error {
	if room == r.slow {
		select {
		case <-r.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing > 0 {
		r.failing--
		return errors.Join(errors.New("away"), ports.ErrUnavailable)
	}
	r.deleted = append(r.deleted, room)
	return nil
}

func (r *rooms) gone() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.deleted...)
}

func (b *bench) askDeletion(sessionID string) {
	b.t.Helper()
	require.NoError(b.t, b.store.ChangeSession(b.t.Context(), sessionID, func(m domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: m, DeleteRoom: true}, nil
	}))
}

func (b *bench) deleter(r *rooms, poll time.Duration) *app.DeleteRooms {
	m := &media{}
	return &app.DeleteRooms{Deletions: b.store, Rooms: r, Media: m, Participants: m, Reader: b.store, Tally: b.tally, Log: slog.New(slog.DiscardHandler), Poll: poll}
}

// run runs work until the test ends.
func run(t *testing.T, work func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestRoomsAreDeletedWhenWoken(t *testing.T) {
	b, r := setup(t), &rooms{}
	d := b.deleter(r, time.Hour)
	run(t, d.Run)
	for _, id := range []string{"one", "two"} {
		b.askDeletion(id)
		d.Wake()
		require.Eventually(t, func() bool { g := r.gone(); return len(g) > 0 && g[len(g)-1] == domain.RoomName(id) }, 10*time.Second, time.Millisecond)
	}
}

func TestASlowRoomHoldsUpNoOther(t *testing.T) {
	b, r := setup(t), &rooms{slow: domain.RoomName("slow"), gate: make(chan struct{})}
	d := b.deleter(r, time.Hour)
	run(t, d.Run)
	b.askDeletion("slow")
	d.Wake()
	for _, id := range []string{"one", "two"} {
		b.askDeletion(id)
		d.Wake()
		require.Eventually(t, func() bool { g := r.gone(); return len(g) > 0 && g[len(g)-1] == domain.RoomName(id) }, 10*time.Second, time.Millisecond)
	}
	close(r.gate)
	require.Eventually(t, func() bool { return len(r.gone()) == 3 }, 10*time.Second, time.Millisecond)
}

func TestRoomsAreDeletedWithoutBeingWoken(t *testing.T) {
	b, r := setup(t), &rooms{}
	run(t, b.deleter(r, 10*time.Millisecond).Run)
	b.askDeletion("one")
	require.Eventually(t, func() bool { return len(r.gone()) == 1 }, 10*time.Second, time.Millisecond)
}

func TestDeletionIsTriedUntilTheRoomIsGone(t *testing.T) {
	b, r := setup(t), &rooms{failing: 2}
	run(t, b.deleter(r, 20*time.Millisecond).Run)
	b.askDeletion("one")
	require.Eventually(t, func() bool { return len(r.gone()) == 1 }, 30*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		_, waiting, err := b.store.Next(t.Context())
		return err == nil && !waiting
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"deletion:postponed", "deletion:postponed", "deletion:deleted"}, b.tally.take())
}

func TestAListThatCannotBeReadIsReadLater(t *testing.T) {
	b, r := setup(t), &rooms{}
	b.askDeletion("one")
	b.store.Fail(unavailable())
	d := b.deleter(r, 10*time.Millisecond)
	require.ErrorIs(t, d.Due(t.Context()), ports.ErrUnavailable)
	run(t, d.Run)
	b.store.Fail(nil)
	require.Eventually(t, func() bool { return len(r.gone()) == 1 }, 10*time.Second, time.Millisecond)
}

func TestMappingsAreForgottenAWeekAfterTheEnd(t *testing.T) {
	b := setup(t)
	_, err := b.token(nil)
	require.NoError(t, err)
	late := func() app.Forget {
		return app.ForgetMappings(b.store, func() time.Time { return time.Now().Add(8 * 24 * time.Hour) }, slog.New(slog.DiscardHandler), time.Millisecond)
	}
	known := func() bool {
		_, known, err := b.store.Find(t.Context(), session)
		return err == nil && known
	}
	require.NoError(t, late().Do(t.Context()))
	require.True(t, known(), "the call goes on")
	require.NoError(t, b.store.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		m, _ = m.Finalize(2)
		return ports.Change{Mapping: m}, nil
	}))
	early := late()
	early.Now = time.Now
	require.NoError(t, early.Do(t.Context()))
	require.True(t, known())
	b.store.Fail(unavailable())
	require.ErrorIs(t, late().Do(t.Context()), ports.ErrUnavailable)
	run(t, late().Run)
	b.store.Fail(nil)
	require.Eventually(t, func() bool { return !known() }, 10*time.Second, time.Millisecond)
}

func TestReceiptsAreForgottenAfterAWeek(t *testing.T) {
	b := setup(t)
	now := time.Now()
	for id, age := range map[string]time.Duration{"new": time.Hour, "old": 8 * 24 * time.Hour} {
		_, err := b.store.Receive(t.Context(), ports.Receipt{ID: id, Kind: "k", ReceivedAt: now.Add(-age)}, nil)
		require.NoError(t, err)
	}
	run(t, app.ForgetReceipts(b.store, time.Now, slog.New(slog.DiscardHandler), time.Hour).Run)
	require.Eventually(t, func() bool { return len(b.store.Receipts()) == 1 }, 10*time.Second, time.Millisecond)
	require.Contains(t, b.store.Receipts(), "new")
}

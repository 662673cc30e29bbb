package app

import (
	"context"
	"log/slog"
	"time"
)

// roomHealth remembers for which rooms the provider gives no answer, so that each is tried again
// after a pause of its own and holds up no other. It belongs to one goroutine.
type roomHealth struct {
	log    *slog.Logger
	last   time.Duration          // the longest pause
	failed map[string]roomFailure // by the room's name
}

type roomFailure struct {
	times   int
	retryAt time.Time
}

func newRoomHealth(log *slog.Logger, last time.Duration) *roomHealth {
	return &roomHealth{log: log, last: last, failed: map[string]roomFailure{}}
}

// failing says whether the provider gave no answer for a room, and due whether it is to be asked
// again.
func (h *roomHealth) failing(room string, now time.Time) (failing, due bool) {
	f, failing := h.failed[room]
	return failing, !f.retryAt.After(now)
}

// fail notes that the provider gave no answer for a room, and names it when that begins.
func (h *roomHealth) fail(ctx context.Context, room string, why error, now time.Time) {
	f := h.failed[room]
	wait := min(retryIn(f.times), h.last)
	if f.times == 0 {
		h.log.WarnContext(ctx, "LiveKit gives no answer for a room, trying again; other rooms are compared meanwhile",
			slog.String("room", room), slog.Any("error", why), slog.Duration("in", wait))
	}
	f.times++
	f.retryAt = now.Add(wait)
	h.failed[room] = f
}

// answer notes that the provider answered for a room.
func (h *roomHealth) answer(ctx context.Context, room string) {
	if f, failed := h.failed[room]; failed {
		h.log.InfoContext(ctx, "LiveKit answers for a room again", slog.String("room", room), slog.Int("failures", f.times))
		delete(h.failed, room)
	}
}

// keep forgets every room but those given: calls that are over are not asked for any more.
func (h *roomHealth) keep(rooms map[string]bool) {
	for room := range h.failed {
		if !rooms[room] {
			delete(h.failed, room)
		}
	}
}

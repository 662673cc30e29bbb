package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retryIn is how long to wait after so many attempts that failed; it doubles with each.
func retryIn(attempts int) time.Duration { return min(firstRetry<<min(attempts, 10), lastRetry) }

// Bell wakes who waits for it. The zero value is ready.
type Bell struct {
	once sync.Once
	rung chan struct{}
}

// Wake has the work looked at soon. It never blocks.
func (b *Bell) Wake() {
	select {
	case b.signal() <- struct{}{}:
	default:
	}
}

func (b *Bell) signal() chan struct{} {
	b.once.Do(func() { b.rung = make(chan struct{}, 1) })
	return b.rung
}

// worklist is work at the provider that a store has on a list. The provider is called outside any
// transaction; a crash in between only repeats the call. Entries are independent: one that takes
// long holds up none of the others, up to as many as are done at once.
type worklist[Entry any] struct {
	name   string // of what is on it, for people
	poll   time.Duration
	atOnce int
	log    *slog.Logger
	claim  func(ctx context.Context, limit int) ([]Entry, error)
	do     func(ctx context.Context, entry Entry) error // an error is the list's; what the provider fails at is postponed
	next   func(ctx context.Context) (time.Duration, bool, error)
}

// run works on the list until ctx ends: when it is woken, when the next entry's time comes, and at
// every poll.
func (w worklist[Entry]) run(ctx context.Context, woken <-chan struct{}) {
	for {
		pause := w.poll
		if err := w.due(ctx, woken); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "a list of work can't be worked on, trying again", slog.String("list", w.name),
				slog.Any("error", err), slog.Duration("in", pause))
		} else {
			pause = w.pause(ctx)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pause is how long nothing is due, as far as is known.
func (w worklist[Entry]) pause(ctx context.Context) time.Duration {
	if next, waiting, err := w.next(ctx); err == nil && waiting {
		return min(max(next, 10*time.Millisecond), w.poll)
	}
	return w.poll
}

// due does what is due, side by side, and returns when none is left and all is done. The first
// error of the list ends it, after what has begun.
func (w worklist[Entry]) due(ctx context.Context, woken <-chan struct{}) error {
	done := make(chan error, w.atOnce)
	var failure error
	for running := 0; ; {
		claimed, err := []Entry(nil), failure
		if failure == nil && running < w.atOnce {
			claimed, err = w.claim(ctx, w.atOnce-running)
		}
		if err != nil && failure == nil {
			failure = fmt.Errorf("claiming %s: %w", w.name, err)
		}
		for _, entry := range claimed {
			running++
			go func() { done <- w.do(ctx, entry) }()
		}
		if running == 0 {
			return failure
		}
		if len(claimed) > 0 && running < w.atOnce {
			continue // There may be more.
		}
		var more <-chan time.Time
		if running < w.atOnce && failure == nil {
			more = time.After(w.pause(ctx))
		}
		select {
		case err := <-done:
			running--
			failure = errors.Join(failure, err)
		case <-more:
		case <-woken:
		}
	}
}

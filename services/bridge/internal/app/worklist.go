package app

import (
	"context"
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
// transaction; a crash in between only repeats the call.
type worklist[Entry any] struct {
	name  string // of what is on it, for people
	poll  time.Duration
	log   *slog.Logger
	claim func(ctx context.Context) ([]Entry, error)
	do    func(ctx context.Context, entry Entry) error // an error is the list's; what the provider fails at is postponed
	next  func(ctx context.Context) (time.Duration, bool, error)
}

// run works on the list until ctx ends: when it is woken, when the next entry's time comes, and at every poll.
func (w worklist[Entry]) run(ctx context.Context, woken <-chan struct{}) {
	for {
		pause := w.poll
		if err := w.due(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "a list of work can't be worked on, trying again", slog.String("list", w.name),
				slog.Any("error", err), slog.Duration("in", pause))
		} else if next, waiting, err := w.next(ctx); err == nil && waiting {
			pause = min(max(next, 10*time.Millisecond), w.poll)
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

// due does what is due, a claim at a time and that side by side, and returns when there is none left.
func (w worklist[Entry]) due(ctx context.Context) error {
	for {
		claimed, err := w.claim(ctx)
		if err != nil {
			return fmt.Errorf("claiming %s: %w", w.name, err)
		}
		if len(claimed) == 0 {
			return nil
		}
		var running sync.WaitGroup
		failed := make([]error, len(claimed))
		for n, entry := range claimed {
			running.Go(func() { failed[n] = w.do(ctx, entry) })
		}
		running.Wait()
		for _, err := range failed {
			if err != nil {
				return err
			}
		}
	}
}

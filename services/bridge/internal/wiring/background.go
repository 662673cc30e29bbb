package wiring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.uber.org/fx"
)

// background is work that runs from the application's start to its stop. It is stopped as a whole and
// waited for, so that what feeds others can be stopped before them.
type background struct {
	name    string
	ready   <-chan struct{} // work begins when this is closed; nil: at once
	log     *slog.Logger
	stopper fx.Shutdowner
	work    []func(ctx context.Context) error
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// start runs all of the work. An error of one of them stops the application: it says what to do.
func (b *background) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // The start's deadline is not the work's.
	b.cancel = cancel
	for _, work := range b.work {
		b.running.Go(func() {
			if !b.await(ctx) {
				return
			}
			if err := work(ctx); err != nil && ctx.Err() == nil {
				b.log.ErrorContext(ctx, "the service can't go on and stops", slog.String("work", b.name), slog.Any("error", err))
				_ = b.stopper.Shutdown(fx.ExitCode(1)) // Fails only where the application is stopping already.
			}
		})
	}
}

func (b *background) await(ctx context.Context) bool {
	if b.ready == nil {
		return true
	}
	select {
	case <-b.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// stop ends the work and waits for it, until ctx ends.
func (b *background) stop(ctx context.Context) error {
	b.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.running.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stopping %s took too long", b.name), ctx.Err())
	}
}

func (b *background) hook() fx.Hook {
	return fx.Hook{
		OnStart: func(ctx context.Context) error {
			b.start(ctx)
			return nil
		},
		OnStop: b.stop,
	}
}

// forever makes work of what never fails.
func forever(run func(ctx context.Context)) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		run(ctx)
		return nil
	}
}

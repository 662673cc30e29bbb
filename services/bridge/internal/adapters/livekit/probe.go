package livekit

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// ErrNotReached says that LiveKit's server API doesn't answer, or hasn't yet.
var ErrNotReached = errors.New("LiveKit's server API does not answer")

// Probe knows whether LiveKit can be reached. Nothing waits for it: it asks in the background, seldom
// while all is well and with a growing pause while it is not.
type Probe struct {
	ping     func(ctx context.Context) error
	report   func(reachable bool)
	log      *slog.Logger
	interval time.Duration
	up       atomic.Bool
}

// NewProbe returns a probe that calls ping every interval and tells report what it found.
func NewProbe(ping func(ctx context.Context) error, report func(reachable bool), log *slog.Logger, interval time.Duration) *Probe {
	return &Probe{ping: ping, report: report, log: log, interval: interval}
}

// Check returns ErrNotReached where the last attempt failed, or none was made yet.
func (p *Probe) Check(context.Context) error {
	if !p.up.Load() {
		return ErrNotReached
	}
	return nil
}

// Run works until ctx ends.
func (p *Probe) Run(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 250*time.Millisecond, p.interval
	failing := false
	for {
		err := p.ping(ctx)
		if ctx.Err() != nil {
			return
		}
		p.up.Store(err == nil)
		p.report(err == nil)
		wait := p.interval
		switch {
		case err != nil:
			if !failing {
				p.log.WarnContext(ctx, "LiveKit can't be reached; calls in progress go on, rooms are deleted later", slog.Any("error", err))
			}
			wait = pause.NextBackOff()
		case failing:
			p.log.InfoContext(ctx, "LiveKit is reached again")
			pause.Reset()
		}
		failing = err != nil
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

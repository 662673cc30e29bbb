package livekit

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// ErrNotReached says that LiveKit's server API doesn't answer, or hasn't yet.
var ErrNotReached = errors.New("LiveKit's server API does not answer")

// ErrRefused says that LiveKit's server API answers, and refuses. It matches ports.ErrRefused.
var ErrRefused error = refusal("LiveKit refuses our API key or our clock")

type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) Unwrap() error   { return ports.ErrRefused }

// maxClockOffset is how far the clocks of LiveKit and of this system may be apart before it is
// named. LiveKit refuses a token whose time is a minute ahead of its own.
const maxClockOffset = 30 * time.Second

// ProbeConfig says what a Probe asks and what it calls with the answers. Ping and ClockOffset are
// those of Rooms.
type ProbeConfig struct {
	Ping        func(ctx context.Context) error                 // its errors are those of Rooms.Ping
	ClockOffset func(ctx context.Context) (time.Duration, bool) // how far LiveKit's clock is ahead of ours
	Reachable   func(reachable bool)                            // called with each finding; a refusal is false
	Offset      func(ahead time.Duration)                       // called with each answer of ClockOffset
	Log         *slog.Logger
	Interval    time.Duration // between two questions while all is well
}

// Probe knows whether LiveKit can be used. Nothing waits for it: it asks in the background, seldom
// while all is well and with a growing pause while it is not.
type Probe struct {
	cfg   ProbeConfig
	found atomic.Int32
	apart bool // whether the clocks were, when they were compared last
}

// What a probe found.
const (
	absent int32 = iota // or not asked yet
	refused
	usable
)

// NewProbe returns a probe that is to be Run.
func NewProbe(cfg ProbeConfig) *Probe { return &Probe{cfg: cfg} }

// Check returns ErrRefused where LiveKit refused the last attempt, and ErrNotReached where it
// didn't answer or none was made yet.
func (p *Probe) Check(context.Context) error {
	switch p.found.Load() {
	case usable:
		return nil
	case refused:
		return ErrRefused
	default:
		return ErrNotReached
	}
}

// Run works until ctx ends.
func (p *Probe) Run(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 250*time.Millisecond, p.cfg.Interval
	before := usable // The first good answer is not news.
	for {
		err := p.cfg.Ping(ctx)
		if ctx.Err() != nil {
			return
		}
		found := finding(err)
		p.found.Store(found)
		p.cfg.Reachable(found == usable)
		var about []slog.Attr
		if found != absent {
			about = p.compareClocks(ctx)
		}
		if found != before {
			p.report(ctx, before, found, err, about)
		}
		before = found
		wait := p.cfg.Interval
		if found == usable {
			pause.Reset()
		} else {
			wait = pause.NextBackOff()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func finding(err error) int32 {
	switch {
	case err == nil:
		return usable
	case errors.Is(err, ports.ErrRefused):
		return refused
	default:
		return absent
	}
}

// report logs that the finding is another one than before, with what to do about it.
func (p *Probe) report(ctx context.Context, before, found int32, err error, about []slog.Attr) {
	switch {
	case found == absent:
		p.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "LiveKit can't be reached; calls in progress go on, rooms are deleted later",
			slog.Any("error", err))
	case found == refused:
		p.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "LiveKit refuses our API key or our clock; calls in progress go on, and the tokens "+
			"that are issued may be of no use: check LIVEKIT_API_KEY, LIVEKIT_API_SECRET, and the clocks of both servers",
			append(about, slog.Any("error", err))...)
	case before == refused:
		p.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "LiveKit accepts our API key and our clock again")
	default:
		p.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "LiveKit is reached again")
	}
}

// compareClocks reports how far the clocks are apart and logs when that begins to be too far, and
// when it is over. It returns what is known of it, for a log.
func (p *Probe) compareClocks(ctx context.Context) []slog.Attr {
	ahead, known := p.cfg.ClockOffset(ctx)
	if !known {
		return nil
	}
	p.cfg.Offset(ahead)
	about := []slog.Attr{slog.Duration("livekit_ahead", ahead.Round(time.Second))}
	apart := ahead.Abs() > maxClockOffset
	switch {
	case apart && !p.apart:
		p.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "the clocks of LiveKit and of this server are apart, and LiveKit refuses tokens where "+
			"they are a minute apart: set the clock that is wrong", about...)
	case p.apart && !apart:
		p.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "the clocks of LiveKit and of this server agree again", about...)
	}
	p.apart = apart
	return about
}

package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Why a stream ends, beside ErrDraining and the end of its context.
var (
	ErrExpired = errors.New("what the caller has shown of who they are has expired")
	ErrRemoved = errors.New("the caller is a member no more")
	ErrDeleted = errors.New("the session was deleted")
)

const (
	// HeartbeatEvery is how long a stream is silent at most.
	HeartbeatEvery = 15 * time.Second

	pageSize     = 64 // entries that are read at once
	minReadPause = 200 * time.Millisecond
)

// Message is what a stream sends.
type Message struct {
	ID   string // to resume behind it
	Type string // of the event, or TypeReady
	Data []byte // JSON
}

// pacing is what both kinds of streams wait for, and how they end.
type pacing struct {
	hub    *Hub
	signal chan struct{}
	timer  *time.Timer
	expiry time.Time // zero: none
	close  []func()
	over   error // why the next call of Next ends the stream
}

// open admits a stream of the caller's.
func (h *Hub) open(caller domain.Principal, now time.Time, signal chan struct{}) (pacing, error) {
	p := pacing{hub: h, signal: signal}
	if !caller.ExpiresAt.IsZero() {
		p.expiry = time.Now().Add(caller.ExpiresAt.Sub(now))
	}
	release, err := h.admit(caller.UserID)
	if err != nil {
		return pacing{}, err
	}
	p.close = append(p.close, release)
	return p, nil
}

// Close frees what the stream holds.
func (p *pacing) Close() {
	if p.timer != nil {
		p.timer.Stop()
	}
	for i := len(p.close) - 1; i >= 0; i-- {
		p.close[i]()
	}
	p.close = nil
}

// ended returns why a stream must not go on, also where there is always more to send.
func (p *pacing) ended(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("follow a log: %w", context.Cause(ctx))
	case <-p.hub.drained:
		return ErrDraining
	default:
	}
	if !p.expiry.IsZero() && !time.Now().Before(p.expiry) {
		return ErrExpired
	}
	return p.over
}

// wait returns when the stream is woken, has expired, ends, or until has come.
func (p *pacing) wait(ctx context.Context, until time.Time) {
	if !p.expiry.IsZero() && p.expiry.Before(until) {
		until = p.expiry
	}
	pause := time.Until(until)
	if p.timer == nil {
		p.timer = time.NewTimer(pause)
	} else {
		p.timer.Reset(pause)
	}
	select {
	case <-ctx.Done():
	case <-p.hub.drained:
	case <-p.signal:
	case <-p.timer.C:
	}
}

// failedRead decides on an error of the journal: while it is away the stream waits, as its client would have to.
func (p *pacing) failedRead(ctx context.Context, err error) error {
	if ended := p.ended(ctx); ended != nil {
		return ended
	}
	if !errors.Is(err, ports.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	p.hub.log.WarnContext(ctx, "a stream can't read its log, trying again", slog.Any("error", err))
	p.wait(ctx, time.Now().Add(minReadPause))
	return nil
}

// hidden says whether an event is kept from the caller.
func hidden(caller domain.Principal, t events.Type) bool { return !ports.ViewerOf(caller).Shown(t) }

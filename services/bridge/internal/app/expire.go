package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	windowBatch = 16
	windowLease = 20 * time.Second // well above the time that asking the provider may take
	windowAgain = 2 * time.Second  // until somebody is looked for again who is on their way in
)

// ExpireWindows ends the time to come back of those who were lost. Nobody is gone before the provider was asked, and while it can't be
// asked nobody is.
type ExpireWindows struct {
	*Bell // given by whoever also gives it to the use cases that open windows

	List    ports.Windows
	Reader  ports.MappingReader
	Media   ports.MediaListings
	Inspect Inspect
	Tally   ports.Tally
	Log     *slog.Logger
	Poll    time.Duration // the longest pause between two looks at the list
	Ready   func() bool   // whether windows may end yet
}

// Run works until ctx ends.
func (e *ExpireWindows) Run(ctx context.Context) { e.list().run(ctx, e.signal()) }

// Due ends the windows whose time is over and returns when there is none left.
func (e *ExpireWindows) Due(ctx context.Context) error { return e.list().due(ctx) }

func (e *ExpireWindows) list() worklist[ports.DueWindow] {
	return worklist[ports.DueWindow]{
		name: "windows to end", poll: e.Poll, log: e.Log, do: e.one,
		claim: func(ctx context.Context) ([]ports.DueWindow, error) {
			if !e.Ready() {
				return nil, nil
			}
			return e.List.ClaimWindows(ctx, windowBatch, windowLease)
		},
		next: func(ctx context.Context) (time.Duration, bool, error) {
			if !e.Ready() {
				return 0, false, nil
			}
			return e.List.NextWindow(ctx)
		},
	}
}

func (e *ExpireWindows) one(ctx context.Context, due ports.DueWindow) error {
	outcome, wait, failure := e.expire(ctx, due)
	if ctx.Err() != nil {
		return fmt.Errorf("ending a window of session %s: %w", due.SessionID, ctx.Err())
	}
	e.Tally.Window(outcome)
	if failure != nil {
		e.Log.WarnContext(ctx, "a window can't be ended now, trying again", slog.String("session_id", due.SessionID),
			slog.Any("error", failure), slog.Int("attempts", due.Attempts+1), slog.Duration("in", wait))
	}
	if wait == 0 {
		return nil
	}
	if err := e.List.PostponeWindow(ctx, due, wait); err != nil {
		return fmt.Errorf("postponing a window of session %s: %w", due.SessionID, err)
	}
	return nil
}

// expire returns what became of it, how long to wait before the next attempt, 0 where none is needed, and what failed.
func (e *ExpireWindows) expire(ctx context.Context, due ports.DueWindow) (string, time.Duration, error) {
	mapping, known, err := e.Reader.Find(ctx, due.SessionID)
	if err != nil || !known {
		return "postponed", retryIn(due.Attempts), err
	}
	asked := e.Inspect.Now()
	listings, err := e.Media.List(ctx, []string{mapping.RoomName()})
	if err != nil {
		return "postponed", retryIn(due.Attempts), err
	}
	listing, answered := listings[mapping.RoomName()]
	if !answered {
		return "postponed", windowAgain, nil // The room is changing at this moment.
	}
	after, _, err := e.Inspect.Do(ctx, sight{mapping: mapping, listing: listing, asked: asked, expire: true, claim: due.Claim})
	switch {
	case errors.Is(err, ports.ErrClaimLost):
		return "outrun", 0, nil
	case err != nil:
		return "postponed", retryIn(due.Attempts), err
	case stillDue(after, e.Inspect.Now()):
		return "awaited", windowAgain, nil
	default:
		return "ended", 0, nil
	}
}

func stillDue(m domain.Mapping, now time.Time) bool {
	next, open := m.NextDeadline()
	return open && !next.After(now)
}

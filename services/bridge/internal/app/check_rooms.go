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
	checksAtOnce = 16
	checkLease   = 30 * time.Second // well above the time that listing a room and asking for its participants may take
	checkAgain   = domain.ConfirmDelay
)

// CheckRooms looks at rooms whose time has come: a grace period ends, or a webhook can't be placed.
// No participant is gone before the provider was asked, and while it can't be asked none is.
type CheckRooms struct {
	*Bell // shared with the use cases that open grace periods

	List    ports.RoomChecks
	Reader  ports.MappingReader
	Media   ports.MediaListings
	Inspect Inspect
	Tally   ports.Tally
	Log     *slog.Logger
	Poll    time.Duration // the longest pause between two looks at the list
}

// Run works until ctx ends.
func (c *CheckRooms) Run(ctx context.Context) { c.list().run(ctx, c.signal()) }

// Due looks at the rooms whose time has come and returns when there is none left.
func (c *CheckRooms) Due(ctx context.Context) error { return c.list().due(ctx, nil) }

func (c *CheckRooms) list() worklist[ports.RoomCheck] {
	return worklist[ports.RoomCheck]{
		name: "rooms to check", poll: c.Poll, log: c.Log, atOnce: checksAtOnce, do: c.one, next: c.List.NextCheck,
		claim: func(ctx context.Context, limit int) ([]ports.RoomCheck, error) {
			return c.List.ClaimChecks(ctx, limit, checkLease)
		},
	}
}

func (c *CheckRooms) one(ctx context.Context, due ports.RoomCheck) error {
	outcome, wait, failure := c.check(ctx, due)
	if ctx.Err() != nil {
		return fmt.Errorf("checking the room of session %s: %w", due.SessionID, ctx.Err())
	}
	c.Tally.Window(outcome)
	if failure != nil {
		c.Log.WarnContext(ctx, "a room can't be checked now, trying again", slog.String("session_id", due.SessionID),
			slog.Any("error", failure), slog.Int("attempts", due.Attempts+1), slog.Duration("in", wait))
	}
	if wait == 0 {
		return nil
	}
	if err := c.List.PostponeCheck(ctx, due, wait); err != nil {
		return fmt.Errorf("postponing the check of session %s: %w", due.SessionID, err)
	}
	return nil
}

// check returns the outcome, how long to wait before the next attempt, 0 where none is needed, and
// what failed.
func (c *CheckRooms) check(ctx context.Context, due ports.RoomCheck) (string, time.Duration, error) {
	mapping, known, err := c.Reader.Find(ctx, due.SessionID)
	if err != nil || !known {
		return "postponed", retryIn(due.Attempts), err
	}
	asked := c.Inspect.Now()
	answers, err := c.Media.List(ctx, []string{mapping.RoomName()})
	if err != nil {
		return "postponed", retryIn(due.Attempts), err
	}
	answer, answered := answers[mapping.RoomName()]
	switch {
	case !answered:
		return "postponed", checkAgain, nil // The room is changing at this moment.
	case answer.Err != nil:
		return "postponed", retryIn(due.Attempts), answer.Err
	}
	found, err := c.Inspect.Do(ctx, inspection{mapping: mapping, listing: answer.Listing, asked: asked, expire: true, claim: due.Claim})
	switch {
	case errors.Is(err, ports.ErrClaimLost):
		return "outrun", 0, nil
	case err != nil:
		return "postponed", retryIn(due.Attempts), err
	case !stillDue(found.mapping, c.Inspect.Now()):
		return "ended", 0, nil
	case found.failure != nil:
		return "postponed", retryIn(due.Attempts), found.failure
	default:
		return "awaited", checkAgain, nil
	}
}

func stillDue(m domain.Mapping, now time.Time) bool {
	next, open := m.NextCheckAt()
	return open && !next.After(now)
}

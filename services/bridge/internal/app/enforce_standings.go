package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	enforcementBatch = 16
	enforcementLease = 30 * time.Second // well above the time that one call to the provider may take
)

// EnforceStandings puts out of their rooms who is no member any more and gives the others the rights of
// their new role, each until the provider has heard of it.
type EnforceStandings struct {
	Bell

	List         ports.Enforcements
	Participants ports.MediaParticipants
	Tally        ports.Tally
	Log          *slog.Logger
	Poll         time.Duration // the longest pause between two looks at the list
}

// Run works until ctx ends.
func (e *EnforceStandings) Run(ctx context.Context) { e.list().run(ctx, e.signal()) }

// Due tells the provider of everybody whose time has come and returns when there is nobody left. What
// fails is postponed, which is no error.
func (e *EnforceStandings) Due(ctx context.Context) error { return e.list().due(ctx) }

func (e *EnforceStandings) list() worklist[ports.Enforcement] {
	return worklist[ports.Enforcement]{
		name: "participants to tell the provider of", poll: e.Poll, log: e.Log, do: e.one, next: e.List.NextEnforcement,
		claim: func(ctx context.Context) ([]ports.Enforcement, error) {
			return e.List.ClaimEnforcements(ctx, enforcementBatch, enforcementLease)
		},
	}
}

func (e *EnforceStandings) one(ctx context.Context, entry ports.Enforcement) error {
	kind, failure := e.tell(ctx, entry)
	if failure == nil {
		e.Tally.Enforcement(kind, "done")
		if err := e.List.SettleEnforcement(ctx, entry); err != nil {
			return fmt.Errorf("noting that a participant of session %s has their standing: %w", entry.SessionID, err)
		}
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("telling the provider of a participant of session %s: %w", entry.SessionID, ctx.Err())
	}
	e.Tally.Enforcement(kind, "postponed")
	wait := retryIn(entry.Attempts)
	e.Log.WarnContext(ctx, "the provider can't be told of a participant now, trying again", slog.String("session_id", entry.SessionID),
		slog.String("kind", kind), slog.Any("error", failure), slog.Int("attempts", entry.Attempts+1), slog.Duration("in", wait))
	if err := e.List.PostponeEnforcement(ctx, entry, wait); err != nil {
		return fmt.Errorf("postponing a participant of session %s: %w", entry.SessionID, err)
	}
	return nil
}

func (e *EnforceStandings) tell(ctx context.Context, entry ports.Enforcement) (kind string, err error) {
	room := domain.RoomName(entry.SessionID)
	if entry.Standing.Removed {
		return "removal", e.Participants.Remove(ctx, room, entry.Standing.Identity)
	}
	return "role", e.Participants.SetRole(ctx, room, entry.Standing)
}

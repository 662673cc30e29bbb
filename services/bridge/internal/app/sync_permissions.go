package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	permissionsAtOnce = 16
	permissionLease   = 30 * time.Second // well above the time that the calls to the provider may take
)

// SyncPermissions puts out of their rooms participants who must not be there and gives the others
// the rights of their new role, each until the provider has done so.
type SyncPermissions struct {
	Bell

	List         ports.PermissionSyncs
	Participants ports.MediaParticipants
	Media        ports.MediaListings
	Tally        ports.Tally
	Log          *slog.Logger
	Poll         time.Duration // the longest pause between two looks at the list
}

// Run works until ctx ends.
func (p *SyncPermissions) Run(ctx context.Context) { p.list().run(ctx, p.signal()) }

// Due syncs the participants whose time has come and returns when there is none left. What fails is
// postponed, which is no error.
func (p *SyncPermissions) Due(ctx context.Context) error { return p.list().due(ctx, nil) }

func (p *SyncPermissions) list() worklist[ports.PermissionSync] {
	return worklist[ports.PermissionSync]{
		name: "permissions to sync", poll: p.Poll, log: p.Log, atOnce: permissionsAtOnce, do: p.one, next: p.List.NextPermissionSync,
		claim: func(ctx context.Context, limit int) ([]ports.PermissionSync, error) {
			return p.List.ClaimPermissionSyncs(ctx, limit, permissionLease)
		},
	}
}

func (p *SyncPermissions) one(ctx context.Context, entry ports.PermissionSync) error {
	kind, failure := p.sync(ctx, entry)
	if failure == nil {
		p.Tally.Enforcement(kind, "done")
		if err := p.List.SettlePermissionSync(ctx, entry); err != nil {
			return fmt.Errorf("noting the permissions of a participant of session %s: %w", entry.SessionID, err)
		}
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("syncing a participant of session %s: %w", entry.SessionID, ctx.Err())
	}
	p.Tally.Enforcement(kind, "postponed")
	wait := retryIn(entry.Attempts)
	p.Log.WarnContext(ctx, "a participant's permissions can't be synced now, trying again", slog.String("session_id", entry.SessionID),
		slog.String("kind", kind), slog.Any("error", failure), slog.Int("attempts", entry.Attempts+1), slog.Duration("in", wait))
	if err := p.List.PostponePermissionSync(ctx, entry, wait); err != nil {
		return fmt.Errorf("postponing a participant of session %s: %w", entry.SessionID, err)
	}
	return nil
}

// errStillListed says that a participant was not found, and a listing shows them.
var errStillListed = errors.New("the participant was not found, and is listed all the same")

// sync holds the provider to what is desired. That it doesn't find the participant is proof only
// where a listing agrees.
func (p *SyncPermissions) sync(ctx context.Context, entry ports.PermissionSync) (kind string, err error) {
	room, identity := domain.RoomName(entry.SessionID), entry.Desired.Identity
	if entry.Desired.Removed {
		kind, err = "removal", p.Participants.Remove(ctx, room, identity)
	} else {
		kind, err = "role", p.Participants.SetRole(ctx, room, entry.Desired)
	}
	if !errors.Is(err, ports.ErrNotFound) {
		return kind, err
	}
	listed, err := list(ctx, p.Media, room)
	if err == nil && slices.ContainsFunc(listed.Participants, func(l domain.Listed) bool { return l.Identity == identity }) {
		err = errStillListed
	}
	return kind, err
}

package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	deletionBatch = 16
	deletionLease = 30 * time.Second // well above the time that one call to the provider may take
)

// DeleteRooms deletes the rooms of calls that are over, each until it is gone.
type DeleteRooms struct {
	Bell

	Deletions ports.RoomDeletions
	Rooms     ports.MediaRooms
	Tally     ports.Tally
	Log       *slog.Logger
	Poll      time.Duration // the longest pause between two looks at the list
}

// Run works until ctx ends.
func (d *DeleteRooms) Run(ctx context.Context) { d.list().run(ctx, d.signal()) }

// Due deletes the rooms whose time has come and returns when there is none left. Rooms that can't be
// deleted now are postponed, which is no error.
func (d *DeleteRooms) Due(ctx context.Context) error { return d.list().due(ctx) }

func (d *DeleteRooms) list() worklist[ports.RoomDeletion] {
	return worklist[ports.RoomDeletion]{
		name: "rooms to delete", poll: d.Poll, log: d.Log, do: d.one, next: d.Deletions.Next,
		claim: func(ctx context.Context) ([]ports.RoomDeletion, error) {
			return d.Deletions.Claim(ctx, deletionBatch, deletionLease)
		},
	}
}

func (d *DeleteRooms) one(ctx context.Context, deletion ports.RoomDeletion) error {
	failure := d.Rooms.Delete(ctx, deletion.RoomName)
	if failure == nil {
		d.Tally.RoomDeletion("deleted")
		if err := d.Deletions.Done(ctx, deletion); err != nil {
			return fmt.Errorf("noting that room %s is deleted: %w", deletion.RoomName, err)
		}
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("deleting room %s: %w", deletion.RoomName, ctx.Err())
	}
	d.Tally.RoomDeletion("postponed")
	wait := retryIn(deletion.Attempts)
	d.Log.WarnContext(ctx, "a room can't be deleted now, trying again", slog.String("room", deletion.RoomName),
		slog.Any("error", failure), slog.Int("attempts", deletion.Attempts+1), slog.Duration("in", wait))
	if err := d.Deletions.Postpone(ctx, deletion, wait); err != nil {
		return fmt.Errorf("postponing the deletion of room %s: %w", deletion.RoomName, err)
	}
	return nil
}

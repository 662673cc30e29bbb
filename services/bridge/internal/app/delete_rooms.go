package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	deletionBatch   = 16
	deletionLease   = 30 * time.Second // well above the time that one call to the provider may take
	minDeletionWait = time.Second
	maxDeletionWait = time.Minute
)

// DeleteRooms deletes the rooms of calls that are over, each until it is gone. The provider is called
// outside any transaction; a crash in between only repeats the call.
type DeleteRooms struct {
	Deletions ports.RoomDeletions
	Rooms     ports.MediaRooms
	Tally     ports.Tally
	Log       *slog.Logger
	Poll      time.Duration // the longest pause between two looks at the list
	wake      chan struct{}
	once      sync.Once
}

// Wake has the list looked at soon. It never blocks.
func (d *DeleteRooms) Wake() {
	select {
	case d.signal() <- struct{}{}:
	default:
	}
}

func (d *DeleteRooms) signal() chan struct{} {
	d.once.Do(func() { d.wake = make(chan struct{}, 1) })
	return d.wake
}

// Run works until ctx ends.
func (d *DeleteRooms) Run(ctx context.Context) {
	for {
		pause := d.Poll
		if err := d.Due(ctx); err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "the list of rooms to delete can't be worked on, trying again", slog.Any("error", err), slog.Duration("in", pause))
		} else if next, waiting, err := d.Deletions.Next(ctx); err == nil && waiting {
			pause = min(max(next, 10*time.Millisecond), d.Poll)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.signal():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Due deletes the rooms whose time has come and returns when there is none left. Rooms that can't be
// deleted now are postponed, which is no error.
func (d *DeleteRooms) Due(ctx context.Context) error {
	for {
		claimed, err := d.Deletions.Claim(ctx, deletionBatch, deletionLease)
		if err != nil {
			return fmt.Errorf("claiming rooms to delete: %w", err)
		}
		if len(claimed) == 0 {
			return nil
		}
		var running sync.WaitGroup
		failed := make([]error, len(claimed))
		for n, deletion := range claimed {
			running.Go(func() { failed[n] = d.one(ctx, deletion) })
		}
		running.Wait()
		for _, err := range failed {
			if err != nil {
				return err
			}
		}
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
	wait := postponement(deletion.Attempts)
	d.Log.WarnContext(ctx, "a room can't be deleted now, trying again", slog.String("room", deletion.RoomName),
		slog.Any("error", failure), slog.Int("attempts", deletion.Attempts+1), slog.Duration("in", wait))
	if err := d.Deletions.Postpone(ctx, deletion, wait); err != nil {
		return fmt.Errorf("postponing the deletion of room %s: %w", deletion.RoomName, err)
	}
	return nil
}

// postponement doubles with every attempt that failed.
func postponement(attempts int) time.Duration {
	return min(minDeletionWait<<min(attempts, 10), maxDeletionWait)
}

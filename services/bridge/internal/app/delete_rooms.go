package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	deletionsAtOnce = 16
	deletionLease   = 30 * time.Second // well above the time that the calls to the provider may take

	// undeletedAfter is how many attempts fail before operators are shown that a room can't be
	// deleted.
	undeletedAfter = 5
)

// DeleteRooms deletes the rooms of calls that are over, each until it is gone.
type DeleteRooms struct {
	Bell

	Deletions    ports.RoomDeletions
	Rooms        ports.MediaRooms
	Media        ports.MediaListings
	Participants ports.MediaParticipants
	Reader       ports.MappingReader
	Tally        ports.Tally
	Log          *slog.Logger
	Poll         time.Duration // the longest pause between two looks at the list
}

// Run works until ctx ends.
func (d *DeleteRooms) Run(ctx context.Context) { d.list().run(ctx, d.signal()) }

// Due deletes the rooms whose time has come and returns when there is none left. Rooms that can't
// be deleted now are postponed, which is no error.
func (d *DeleteRooms) Due(ctx context.Context) error { return d.list().due(ctx, nil) }

func (d *DeleteRooms) list() worklist[ports.RoomDeletion] {
	return worklist[ports.RoomDeletion]{
		name: "rooms to delete", poll: d.Poll, log: d.Log, atOnce: deletionsAtOnce, do: d.one, next: d.Deletions.Next,
		claim: func(ctx context.Context, limit int) ([]ports.RoomDeletion, error) {
			return d.Deletions.Claim(ctx, limit, deletionLease)
		},
	}
}

func (d *DeleteRooms) one(ctx context.Context, deletion ports.RoomDeletion) error {
	failure := d.delete(ctx, deletion.RoomName)
	if ctx.Err() != nil {
		return fmt.Errorf("deleting room %s: %w", deletion.RoomName, ctx.Err())
	}
	if failure == nil {
		d.Tally.RoomDeletion("deleted")
		if err := d.Deletions.Done(ctx, deletion); err != nil {
			return fmt.Errorf("noting that room %s is deleted: %w", deletion.RoomName, err)
		}
	} else {
		d.Tally.RoomDeletion("postponed")
		wait := retryIn(deletion.Attempts)
		d.Log.WarnContext(ctx, "a room can't be deleted now, trying again", slog.String("room", deletion.RoomName),
			slog.Any("error", failure), slog.Int("attempts", deletion.Attempts+1), slog.Duration("in", wait))
		if err := d.Deletions.Postpone(ctx, deletion, wait); err != nil {
			return fmt.Errorf("postponing the deletion of room %s: %w", deletion.RoomName, err)
		}
	}
	if deletion.Attempts+1 < undeletedAfter {
		return nil
	}
	failing, err := d.Deletions.Failing(ctx, undeletedAfter)
	if err != nil {
		return fmt.Errorf("counting rooms that can't be deleted: %w", err)
	}
	d.Tally.RoomsUndeleted(failing)
	return nil
}

// errStillThere says that a room was not found, and people or a listing say that it is there.
var errStillThere = errors.New("the room was not found, and is there all the same")

// delete deletes a room. Where the provider doesn't find it, a listing has to agree, and
// participants whose leaving was not told are put out one by one.
func (d *DeleteRooms) delete(ctx context.Context, room string) error {
	err := d.Rooms.Delete(ctx, room)
	if !errors.Is(err, ports.ErrNotFound) {
		return err
	}
	listed, err := list(ctx, d.Media, room)
	if err != nil {
		return err
	}
	if listed.Room.SID != "" {
		return errStillThere
	}
	mapping, known, err := d.Reader.Find(ctx, strings.TrimPrefix(room, domain.RoomName("")))
	if err != nil || !known {
		return err
	}
	for _, identity := range mapping.MayBeInside() {
		switch err := d.Participants.Remove(ctx, room, identity); {
		case err == nil:
			return errStillThere
		case !errors.Is(err, ports.ErrNotFound):
			return err
		}
	}
	return nil
}

// list asks for one room.
func list(ctx context.Context, media ports.MediaListings, room string) (domain.Listing, error) {
	answers, err := media.List(ctx, []string{room})
	if err != nil {
		return domain.Listing{}, err
	}
	answer, answered := answers[room]
	if !answered {
		return domain.Listing{}, fmt.Errorf("room %s is changing: %w", room, ports.ErrUnavailable)
	}
	return answer.Listing, answer.Err
}

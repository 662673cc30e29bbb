package livekit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	lkproto "github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var _ ports.MediaListings = (*Rooms)(nil)

// Bounds of List. After participantsTimeout there is still time to list the rooms again, and to ask
// whether LiveKit answers at all.
const (
	listTimeout         = 10 * time.Second // all of it
	participantsTimeout = 6 * time.Second  // from its beginning until all participants are listed
	pageTimeout         = 3 * time.Second  // one call for the rooms
	roomTimeout         = 2 * time.Second  // one call for the participants of a room
	pingTimeout         = time.Second
	listingsAtOnce      = 4 // rooms asked for side by side, so that the server has time for calls
)

// List implements ports.MediaListings. Where the rooms can't be listed together although LiveKit
// answers, they are asked for one by one. It takes 10 s at most; a room that was not reached by
// then has an error.
func (r *Rooms) List(ctx context.Context, roomNames []string) (map[string]ports.RoomAnswer, error) {
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(listTimeout))
	defer cancel()
	answers, err := r.compare(ctx, roomNames, began.Add(participantsTimeout))
	if err == nil {
		return answers, nil
	}
	if r.ping(ctx, pingTimeout) != nil {
		return nil, err
	}
	if len(roomNames) == 1 {
		return map[string]ports.RoomAnswer{roomNames[0]: {Err: err}}, nil
	}
	return each(roomNames, func(name string) (ports.RoomAnswer, bool) {
		answers, err := r.compare(ctx, []string{name}, began.Add(listTimeout))
		if err != nil {
			return ports.RoomAnswer{Err: err}, true
		}
		answer, unchanged := answers[name]
		return answer, unchanged
	}), nil
}

// compare lists rooms and, until the given time, their participants. LiveKit lists them by separate
// calls, so rooms are listed before and after: where the room is still the same one, the
// participants are its own; where it isn't, it is left out. An error says that the rooms can't be
// listed.
func (r *Rooms) compare(ctx context.Context, roomNames []string, until time.Time) (map[string]ports.RoomAnswer, error) {
	before, err := r.refs(ctx, roomNames)
	if err != nil {
		return nil, err
	}
	there := make([]string, 0, len(before))
	for name := range before { // In no order, so that rooms behind slow ones are reached another time.
		there = append(there, name)
	}
	listing, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	answers := each(there, func(name string) (ports.RoomAnswer, bool) { return r.look(listing, before[name]), true })
	after, err := r.refs(ctx, there)
	if err != nil {
		return nil, err
	}
	for _, name := range roomNames {
		if ref, listed := before[name]; !listed {
			answers[name] = ports.RoomAnswer{}
		} else if again, listed := after[name]; !listed || again.SID != ref.SID {
			delete(answers, name)
		}
	}
	return answers, nil
}

// each asks for rooms side by side and returns the answers by name, without those that are to be
// left out.
func each(roomNames []string, ask func(name string) (ports.RoomAnswer, bool)) map[string]ports.RoomAnswer {
	answers := make(map[string]ports.RoomAnswer, len(roomNames))
	slots := make(chan struct{}, listingsAtOnce)
	var running sync.WaitGroup
	var mu sync.Mutex
	for _, name := range roomNames {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			answer, keep := ask(name)
			mu.Lock()
			defer mu.Unlock()
			if keep {
				answers[name] = answer
			}
		})
	}
	running.Wait()
	return answers
}

// look lists who is in a room that is listed.
func (r *Rooms) look(ctx context.Context, room domain.RoomRef) ports.RoomAnswer {
	if room.SID == "" {
		return ports.RoomAnswer{Err: fmt.Errorf("listing room %s: its sid can't be read: %w", room.Name, ports.ErrUnavailable)}
	}
	infos, err := r.listParticipants(ctx, room.Name, roomTimeout)
	if errors.Is(err, ports.ErrNotFound) { // The rooms as LiveKit lists them say otherwise.
		err = fmt.Errorf("listing room %s: it is listed and not found: %w", room.Name, ports.ErrUnavailable)
	}
	if err != nil {
		return ports.RoomAnswer{Err: err}
	}
	return ports.RoomAnswer{Listing: domain.Listing{Room: room, Participants: toListed(infos)}}
}

// Rooms implements ports.MediaListings.
func (r *Rooms) Rooms(ctx context.Context) ([]string, error) {
	listed, err := r.listRooms(ctx, nil, callTimeout)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(listed))
	for _, room := range listed {
		names = append(names, room.GetName())
	}
	return names, nil
}

// refs returns which of the rooms are there.
func (r *Rooms) refs(ctx context.Context, roomNames []string) (map[string]domain.RoomRef, error) {
	refs := make(map[string]domain.RoomRef, len(roomNames))
	if len(roomNames) == 0 {
		return refs, nil // No names would mean all rooms.
	}
	listed, err := r.listRooms(ctx, roomNames, pageTimeout)
	if err != nil {
		return nil, err
	}
	for _, room := range listed {
		if slices.Contains(roomNames, room.GetName()) {
			refs[room.GetName()] = roomRef(room)
		}
	}
	return refs, nil
}

// listRooms returns the rooms of these names, all rooms where there is no name. Errors: those of
// noAnswer.
func (r *Rooms) listRooms(ctx context.Context, names []string, timeout time.Duration) ([]*lkproto.Room, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	listed, err := r.client.ListRooms(ctx, &lkproto.ListRoomsRequest{Names: names})
	return listed.GetRooms(), noAnswer("listing rooms", err)
}

// listParticipants returns what the server lists in a room. Errors: those of failure.
func (r *Rooms) listParticipants(ctx context.Context, roomName string, timeout time.Duration) ([]*lkproto.ParticipantInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := r.client.ListParticipants(ctx, &lkproto.ListParticipantsRequest{Room: roomName})
	return answer.GetParticipants(), failure("listing room "+roomName, err)
}

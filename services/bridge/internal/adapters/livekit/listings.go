package livekit

import (
	"context"
	"fmt"
	"sync"

	lkproto "github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var _ ports.MediaListings = (*Rooms)(nil)

// listingsAtOnce bounds how many rooms of one listing are asked for side by side, so that the server has time for calls.
const listingsAtOnce = 4

// List implements ports.MediaListings. LiveKit lists rooms and participants by separate calls, so rooms are listed before and after:
// where the room is still the same one, the participants are its own.
func (r *Rooms) List(ctx context.Context, roomNames []string) (map[string]domain.Listing, error) {
	before, err := r.refs(ctx, roomNames)
	if err != nil {
		return nil, err
	}
	there := make([]string, 0, len(before))
	for name := range before {
		there = append(there, name)
	}
	people, err := r.people(ctx, there)
	if err != nil {
		return nil, err
	}
	after, err := r.refs(ctx, there)
	if err != nil {
		return nil, err
	}
	listings := make(map[string]domain.Listing, len(roomNames))
	for n, name := range there {
		if before[name].SID == after[name].SID {
			listings[name] = domain.Listing{Room: before[name], Participants: people[n]}
		}
	}
	for _, name := range roomNames {
		if _, was := before[name]; !was {
			listings[name] = domain.Listing{}
		}
	}
	return listings, nil
}

// Rooms implements ports.MediaListings.
func (r *Rooms) Rooms(ctx context.Context) ([]string, error) {
	listed, err := r.listRooms(ctx, nil)
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
	listed, err := r.listRooms(ctx, roomNames)
	if err != nil {
		return nil, err
	}
	for _, room := range listed {
		refs[room.GetName()] = roomRef(room)
	}
	return refs, nil
}

func (r *Rooms) listRooms(ctx context.Context, names []string) ([]*lkproto.Room, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	listed, err := r.client.ListRooms(ctx, &lkproto.ListRoomsRequest{Names: names})
	if err != nil {
		return nil, fmt.Errorf("listing rooms: %w: %w", ports.ErrUnavailable, err)
	}
	return listed.GetRooms(), nil
}

// people lists who is in each of the rooms.
func (r *Rooms) people(ctx context.Context, roomNames []string) ([][]domain.Listed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	people := make([][]domain.Listed, len(roomNames))
	slots := make(chan struct{}, listingsAtOnce)
	var running sync.WaitGroup
	for n, name := range roomNames {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			listed, err := r.participants(ctx, name)
			if err != nil {
				cancel(err) // The first one ends the others.
				return
			}
			people[n] = listed
		})
	}
	running.Wait()
	return people, context.Cause(ctx)
}

func (r *Rooms) participants(ctx context.Context, roomName string) ([]domain.Listed, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := r.client.ListParticipants(ctx, &lkproto.ListParticipantsRequest{Room: roomName})
	if settled(err) {
		return toListed(answer.GetParticipants()), nil
	}
	return nil, fmt.Errorf("listing room %s: %w: %w", roomName, ports.ErrUnavailable, err)
}

func toListed(infos []*lkproto.ParticipantInfo) []domain.Listed {
	people := make([]domain.Listed, 0, len(infos))
	for _, info := range infos {
		state, there := listedStates[info.GetState()]
		if !there {
			continue
		}
		p := domain.Listed{Connection: connection(info), State: state}
		for _, t := range info.GetTracks() {
			p.Tracks = append(p.Tracks, track(t))
		}
		people = append(people, p)
	}
	return people
}

// listedStates is how far a connection has come; one that has ended is none.
var listedStates = map[lkproto.ParticipantInfo_State]domain.ListedState{
	lkproto.ParticipantInfo_JOINING: domain.Connecting,
	lkproto.ParticipantInfo_JOINED:  domain.Connecting,
	lkproto.ParticipantInfo_ACTIVE:  domain.Active,
}

//go:build integration

package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

const (
	listEvery   = 700 * time.Millisecond
	listTimeout = 5 * time.Second
	roomPrefix  = "call-"
)

// observe takes down who LiveKit lists, until ctx ends.
func (w *world) observe(ctx context.Context) {
	for tick := time.NewTicker(listEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		if listing, err := w.list(ctx); err == nil { // While it is away it lists nobody, and says nothing.
			w.recorder.Note(func(h *history.History) { h.Listings = append(h.Listings, listing) })
		}
	}
}

// list asks LiveKit for who is fully in the rooms of sessions.
func (w *world) list(ctx context.Context) (history.Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listing := history.Listing{Asked: time.Now(), Rooms: map[string]map[string]string{}}
	rooms, err := w.Rooms.ListRooms(ctx, &livekit.ListRoomsRequest{})
	if err != nil {
		return listing, fmt.Errorf("asking LiveKit for rooms: %w", err)
	}
	for _, room := range rooms.GetRooms() {
		session, ours := strings.CutPrefix(room.GetName(), roomPrefix)
		if !ours {
			continue
		}
		people, err := w.Rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: room.GetName()})
		if err != nil {
			return listing, errors.Join(errors.New("asking LiveKit who is there"), err)
		}
		there := map[string]string{}
		for _, p := range people.GetParticipants() {
			if p.GetState() == livekit.ParticipantInfo_ACTIVE {
				there[p.GetIdentity()] = p.GetSid()
			}
		}
		listing.Rooms[session] = there
	}
	listing.Answered = time.Now()
	return listing, nil
}

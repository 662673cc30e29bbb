//go:build integration

package wiring

import (
	"context"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
)

// standIn answers the calls of LiveKit's server API that the bridge makes, for more rooms than a
// real server here could hold. It lists what its webhooks have told.
type standIn struct {
	livekit.RoomService // every other call panics, and the server answers that it is its fault

	url string

	mu    sync.Mutex
	rooms map[string]*livekit.Room
	in    map[string][]*livekit.ParticipantInfo // by room
	calls int

	broken map[string]bool      // rooms that it answers errors for
	looked map[string]time.Time // when the people of a room were listed last
}

func newStandIn(t testing.TB) *standIn {
	t.Helper()
	s := &standIn{rooms: map[string]*livekit.Room{}, in: map[string][]*livekit.ParticipantInfo{}, broken: map[string]bool{}, looked: map[string]time.Time{}}
	server := httptest.NewServer(livekit.NewRoomServiceServer(s))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// told takes in what a webhook tells.
func (s *standIn) told(e *livekit.WebhookEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := e.GetRoom().GetName()
	people := slices.Clone(s.in[name])
	n := slices.IndexFunc(people, func(p *livekit.ParticipantInfo) bool { return p.GetSid() == e.GetParticipant().GetSid() })
	switch e.GetEvent() {
	case "room_started":
		s.rooms[name] = e.GetRoom()
	case "room_finished":
		delete(s.rooms, name)
		people = nil
	case "participant_joined":
		people = append(people, e.GetParticipant())
	case "participant_left":
		people = slices.Delete(people, n, n+1)
	case "track_published":
		people[n] = proto.CloneOf(people[n])
		people[n].Tracks = append(people[n].Tracks, e.GetTrack())
	case "track_unpublished":
		people[n] = proto.CloneOf(people[n])
		people[n].Tracks = nil // Nobody here has more than one.
	}
	s.in[name] = people
}

func (s *standIn) ListRooms(_ context.Context, r *livekit.ListRoomsRequest) (*livekit.ListRoomsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	answer := &livekit.ListRoomsResponse{}
	for _, name := range r.GetNames() {
		if room, there := s.rooms[name]; there {
			answer.Rooms = append(answer.Rooms, room)
		}
	}
	if len(r.GetNames()) == 0 {
		for _, room := range s.rooms {
			answer.Rooms = append(answer.Rooms, room)
		}
	}
	return answer, nil
}

func (s *standIn) ListParticipants(_ context.Context, r *livekit.ListParticipantsRequest) (*livekit.ListParticipantsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.broken[r.GetRoom()] {
		return nil, twirp.Unavailable.Error("the node of room " + r.GetRoom() + " is away")
	}
	s.looked[r.GetRoom()] = time.Now()
	return &livekit.ListParticipantsResponse{Participants: s.in[r.GetRoom()]}, nil
}

func (s *standIn) UpdateParticipant(_ context.Context, r *livekit.UpdateParticipantRequest) (*livekit.ParticipantInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	for _, p := range s.in[r.GetRoom()] {
		if p.GetIdentity() == r.GetIdentity() {
			return p, nil
		}
	}
	return nil, twirp.NotFoundError("there is no participant " + r.GetIdentity())
}

// breakRooms has it answer errors for rooms.
func (s *standIn) breakRooms(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.broken[name] = true
	}
}

// ages tells how long ago the people of each healthy room were listed, the shortest time first.
func (s *standIn) ages() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ages []time.Duration
	for name := range s.rooms {
		if !s.broken[name] {
			ages = append(ages, time.Since(s.looked[name]))
		}
	}
	slices.Sort(ages)
	return ages
}

func (s *standIn) DeleteRoom(_ context.Context, r *livekit.DeleteRoomRequest) (*livekit.DeleteRoomResponse, error) {
	return nil, twirp.NotFoundError("there is no room " + r.GetRoom()) // All rooms here end by themselves.
}

// asked returns how many rooms and lists were asked for.
func (s *standIn) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

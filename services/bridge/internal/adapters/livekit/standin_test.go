package livekit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"

	lkproto "github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
)

// standIn is a RoomService that lists what a test wants, and fails as it wants.
type standIn struct {
	lkproto.RoomService // Every other call panics, and the server answers that it is its fault.

	mu     sync.Mutex
	rooms  map[string]*lkproto.Room
	people map[string][]*lkproto.ParticipantInfo
	fail   func(ctx context.Context, call string, rooms []string) error // nil: never
	calls  []string
}

// newStandIn returns a stand-in that has the rooms, each with one participant, and a client of it.
func newStandIn(t *testing.T, rooms ...string) (*standIn, *livekit.Rooms) {
	t.Helper()
	s := &standIn{rooms: map[string]*lkproto.Room{}, people: map[string][]*lkproto.ParticipantInfo{}}
	for n, name := range rooms {
		s.rooms[name] = &lkproto.Room{Name: name, Sid: "RM_" + strconv.Itoa(n)}
		s.people[name] = []*lkproto.ParticipantInfo{{
			Identity: name + "#default", Sid: "PA_" + strconv.Itoa(n), State: lkproto.ParticipantInfo_ACTIVE,
		}}
	}
	return s, dial(t, lkproto.NewRoomServiceServer(s))
}

// dial returns a client of a server with the handler.
func dial(t *testing.T, handler http.Handler) *livekit.Rooms {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	rooms := livekit.NewRooms(server.URL, key, secret)
	t.Cleanup(rooms.Close)
	return rooms
}

// asked counts a call and returns the error that it is to be answered with.
func (s *standIn) asked(ctx context.Context, call string, rooms ...string) error {
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	if s.fail == nil {
		return nil
	}
	return s.fail(ctx, call, rooms)
}

// count returns how often a call was made.
func (s *standIn) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, made := range s.calls {
		if made == call {
			n++
		}
	}
	return n
}

// change changes the rooms and who is in them.
func (s *standIn) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
}

func (s *standIn) ListRooms(ctx context.Context, r *lkproto.ListRoomsRequest) (*lkproto.ListRoomsResponse, error) {
	if err := s.asked(ctx, "ListRooms", r.GetNames()...); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &lkproto.ListRoomsResponse{}
	for name, room := range s.rooms {
		if len(r.GetNames()) == 0 || slices.Contains(r.GetNames(), name) {
			answer.Rooms = append(answer.Rooms, room)
		}
	}
	return answer, nil
}

func (s *standIn) ListParticipants(ctx context.Context, r *lkproto.ListParticipantsRequest) (*lkproto.ListParticipantsResponse, error) {
	if err := s.asked(ctx, "ListParticipants", r.GetRoom()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &lkproto.ListParticipantsResponse{Participants: s.people[r.GetRoom()]}, nil
}

package stack_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// rooms is a RoomService with two rooms, in which alice and bob are until they are gone.
type rooms struct {
	livekit.RoomService

	gone *atomic.Bool
}

func (rooms) ListRooms(_ context.Context, r *livekit.ListRoomsRequest) (*livekit.ListRoomsResponse, error) {
	names := r.GetNames()
	if len(names) == 0 {
		names = []string{"a", "b"}
	}
	answer := &livekit.ListRoomsResponse{}
	for _, name := range names {
		answer.Rooms = append(answer.Rooms, &livekit.Room{Name: name, Sid: "RM_" + name, CreationTime: 100, CreationTimeMs: 100_000})
	}
	return answer, nil
}

func (r rooms) ListParticipants(_ context.Context, _ *livekit.ListParticipantsRequest) (*livekit.ListParticipantsResponse, error) {
	if r.gone.Load() {
		return &livekit.ListParticipantsResponse{}, nil
	}
	return &livekit.ListParticipantsResponse{Participants: []*livekit.ParticipantInfo{
		{Identity: "alice", JoinedAt: 100, JoinedAtMs: 100_000}, {Identity: "bob", JoinedAt: 200, JoinedAtMs: 200_000},
	}}, nil
}

func (rooms) RemoveParticipant(_ context.Context, _ *livekit.RoomParticipantIdentity) (*livekit.RemoveParticipantResponse, error) {
	return nil, twirp.NewError(twirp.NotFound, "there is no such participant")
}

// lying starts a proxy before a RoomService. It returns a client of the proxy, the last Date header
// that the client got, and the switch by which all participants are gone.
func lying(t *testing.T) (*stack.RoomServiceProxy, livekit.RoomService, *string, *atomic.Bool) {
	t.Helper()
	gone := new(atomic.Bool)
	server := httptest.NewServer(livekit.NewRoomServiceServer(rooms{gone: gone}))
	t.Cleanup(server.Close)
	proxy, date := stack.NewRoomServiceProxy(t, server.URL), new(string)
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		res, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			*date = res.Header.Get("Date")
		}
		return res, err
	})}
	return proxy, livekit.NewRoomServiceProtobufClient(proxy.URL(), client), date, gone
}

type roundTripper func(r *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func listed(t *testing.T, client livekit.RoomService, names ...string) map[string]*livekit.Room {
	t.Helper()
	answer, err := client.ListRooms(t.Context(), &livekit.ListRoomsRequest{Names: names})
	require.NoError(t, err)
	all := map[string]*livekit.Room{}
	for _, room := range answer.GetRooms() {
		all[room.GetName()] = room
	}
	return all
}

func people(t *testing.T, client livekit.RoomService, room string) map[string]*livekit.ParticipantInfo {
	t.Helper()
	answer, err := client.ListParticipants(t.Context(), &livekit.ListParticipantsRequest{Room: room})
	require.NoError(t, err)
	all := map[string]*livekit.ParticipantInfo{}
	for _, p := range answer.GetParticipants() {
		all[p.GetIdentity()] = p
	}
	return all
}

func requireCode(t *testing.T, want twirp.ErrorCode, err error) {
	t.Helper()
	var answer twirp.Error
	require.ErrorAs(t, err, &answer)
	require.Equal(t, want, answer.Code())
}

func TestTheTruthPasses(t *testing.T) {
	proxy, client, _, _ := lying(t)
	require.Len(t, listed(t, client), 2)
	require.Len(t, people(t, client, "a"), 2)
	_, err := client.RemoveParticipant(t.Context(), &livekit.RoomParticipantIdentity{Room: "a", Identity: "bob"})
	requireCode(t, twirp.NotFound, err)
	calls := proxy.Calls("a", "RemoveParticipant")
	require.Len(t, calls, 1)
	require.Equal(t, "bob", calls[0].Identity)
	require.Empty(t, proxy.Calls("b", "RemoveParticipant"))
	require.Len(t, proxy.Calls("", "ListRooms"), 1)
}

func TestLiesAreToldAboutOneRoom(t *testing.T) {
	proxy, client, _, _ := lying(t)
	proxy.Treat("a", stack.Lying(stack.Lie{Unlisted: true, Without: []string{"bob"}, Shift: -time.Minute}))
	require.NotContains(t, listed(t, client), "a")
	require.NotContains(t, listed(t, client, "a", "b"), "a")
	there := people(t, client, "a")
	require.NotContains(t, there, "bob")
	require.EqualValues(t, 40, there["alice"].GetJoinedAt())
	require.EqualValues(t, 40_000, there["alice"].GetJoinedAtMs())
	require.Len(t, people(t, client, "b"), 2)

	proxy.Treat("a", stack.Lying(stack.Lie{Shift: time.Hour}, "ListRooms"))
	require.EqualValues(t, 3700, listed(t, client)["a"].GetCreationTime())
	require.EqualValues(t, 100, listed(t, client)["b"].GetCreationTime())
	require.EqualValues(t, 100, people(t, client, "a")["alice"].GetJoinedAt())
}

func TestErrorsAreAnswered(t *testing.T) {
	proxy, client, _, _ := lying(t)
	proxy.Treat("a", stack.Lying(stack.Lie{Fails: twirp.Unavailable}, "ListRooms"))
	_, err := client.ListRooms(t.Context(), &livekit.ListRoomsRequest{Names: []string{"a", "b"}})
	requireCode(t, twirp.Unavailable, err)
	require.Len(t, listed(t, client, "b"), 1)
	require.Len(t, listed(t, client), 2, "all rooms are asked for, and none is named")
	require.Len(t, people(t, client, "a"), 2)

	proxy.TreatOthers(stack.Lying(stack.Lie{Unlisted: true}))
	require.Len(t, listed(t, client), 1, "the one with a treatment of its own")
	proxy.TreatOthers(stack.Lying(stack.Lie{Fails: twirp.Unauthenticated}))
	_, err = client.ListParticipants(t.Context(), &livekit.ListParticipantsRequest{Room: "b"})
	requireCode(t, twirp.Unauthenticated, err)
	_, err = client.ListRooms(t.Context(), &livekit.ListRoomsRequest{})
	requireCode(t, twirp.Unauthenticated, err)
}

func TestEarlierAnswersAreGivenAgain(t *testing.T) {
	proxy, client, _, gone := lying(t)
	listed(t, client)
	people(t, client, "a")
	gone.Store(true)
	proxy.Treat("a", stack.Lying(stack.Lie{Stale: true, Without: []string{"bob"}}))
	require.Contains(t, listed(t, client, "a"), "a")
	require.NotContains(t, people(t, client, "a"), "bob")
	proxy.Treat("a", stack.Lying(stack.Lie{Stale: true}))
	require.Len(t, people(t, client, "a"), 2, "what a lie has left out is known all the same")
	require.Empty(t, people(t, client, "b"))
	proxy.Treat("a", stack.Honest)
	require.Empty(t, people(t, client, "a"))
}

func TestAnswersAreSlowAndDated(t *testing.T) {
	proxy, client, date, _ := lying(t)
	proxy.ShiftClock(90 * time.Second)
	proxy.Treat("a", stack.Lying(stack.Lie{Late: 100 * time.Millisecond}))
	began := time.Now()
	people(t, client, "a")
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)
	dated, err := http.ParseTime(*date)
	require.NoError(t, err)
	require.InDelta(t, 90, dated.Sub(began).Seconds(), 10)
	res, err := http.Get(proxy.URL())
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNotFound, res.StatusCode, "as the server itself answers")
	dated, err = http.ParseTime(res.Header.Get("Date"))
	require.NoError(t, err)
	require.InDelta(t, 90, dated.Sub(began).Seconds(), 10)
}

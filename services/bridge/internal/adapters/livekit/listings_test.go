package livekit_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	lkproto "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// hang answers only when the caller has gone.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return twirp.NewError(twirp.Canceled, "the caller has gone")
}

// requireListed requires rooms of a stand-in to be listed with their participant, and no others.
func requireListed(t *testing.T, answers map[string]ports.RoomAnswer, rooms ...string) {
	t.Helper()
	for _, name := range rooms {
		require.NoError(t, answers[name].Err, name)
		listing := answers[name].Listing
		require.Equal(t, name, listing.Room.Name)
		require.Len(t, listing.Participants, 1)
		require.Equal(t, name+"#default", listing.Participants[0].Identity)
	}
}

func requireUnanswered(t *testing.T, answers map[string]ports.RoomAnswer, room string) {
	t.Helper()
	require.Contains(t, answers, room)
	require.ErrorIs(t, answers[room].Err, ports.ErrUnavailable)
	require.NotErrorIs(t, answers[room].Err, ports.ErrNotFound)
	require.Empty(t, answers[room].Listing)
}

func TestOneRoomsErrorIsThatRoomsOnly(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(context.Context) error{
		"unavailable": func(context.Context) error { return twirp.NewError(twirp.Unavailable, "no response from servers") },
		"not found":   func(context.Context) error { return twirp.NotFoundError("the room does not exist") },
		"internal":    func(context.Context) error { return twirp.InternalError("failed to marshal proto response") },
		"refused":     func(context.Context) error { return twirp.Unauthenticated.Error("permissions denied") },
		"slow":        hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rooms := newStandIn(t, "call-x", "call-y", "call-z")
			s.fail = func(ctx context.Context, call string, rooms []string) error {
				if call == "ListParticipants" && rooms[0] == "call-x" {
					return fail(ctx)
				}
				return nil
			}
			answers, err := rooms.List(t.Context(), []string{"call-x", "call-y", "call-z", "call-nowhere"})
			require.NoError(t, err)
			require.Len(t, answers, 4)
			requireListed(t, answers, "call-y", "call-z")
			requireUnanswered(t, answers, "call-x")
			require.Equal(t, ports.RoomAnswer{}, answers["call-nowhere"], "what isn't there is listed so")
			require.Equal(t, 2, s.count("ListRooms"), "once before and once after")
		})
	}
}

func TestRoomsAreAskedForOneByOneWhereTheyCannotBeListedTogether(t *testing.T) {
	t.Parallel()
	broken := twirp.InternalError("a broken entry")
	for name, tc := range map[string]struct {
		fail    func(nth int, rooms []string) bool // whether the nth call of ListRooms fails
		page    []string
		good    []string
		bad     []string
		listed  int // how often rooms were listed
		nothing bool
	}{
		"a page that one room breaks": {
			fail: func(_ int, rooms []string) bool { return slices.Contains(rooms, "call-x") },
			page: []string{"call-x", "call-y", "call-z"}, good: []string{"call-y", "call-z"}, bad: []string{"call-x"},
			listed: 1 + 1 + 1 + 2 + 2, // the page, a ping, and each room, the good ones twice
		},
		"only the second listing fails": {
			fail: func(nth int, _ []string) bool { return nth == 2 },
			page: []string{"call-x", "call-y"}, good: []string{"call-x", "call-y"}, listed: 2 + 1 + 2 + 2,
		},
		"the only room of a page": {
			fail: func(_ int, rooms []string) bool { return slices.Contains(rooms, "call-x") },
			page: []string{"call-x"}, bad: []string{"call-x"}, listed: 1 + 1,
		},
		"the ping as well": {
			fail: func(int, []string) bool { return true },
			page: []string{"call-x", "call-y"}, listed: 1 + 1, nothing: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, rooms := newStandIn(t, "call-x", "call-y", "call-z")
			s.fail = func(_ context.Context, call string, rooms []string) error {
				if call == "ListRooms" && tc.fail(s.count("ListRooms"), rooms) {
					return broken
				}
				return nil
			}
			answers, err := rooms.List(t.Context(), tc.page)
			require.Equal(t, tc.listed, s.count("ListRooms"))
			if tc.nothing {
				require.ErrorIs(t, err, ports.ErrUnavailable)
				require.Nil(t, answers)
				return
			}
			require.NoError(t, err)
			require.Len(t, answers, len(tc.page))
			requireListed(t, answers, tc.good...)
			for _, name := range tc.bad {
				requireUnanswered(t, answers, name)
			}
		})
	}
}

func TestAChangingRoomIsLeftOut(t *testing.T) {
	t.Parallel()
	s, rooms := newStandIn(t, "call-gone", "call-another", "call-same")
	s.fail = func(_ context.Context, call string, rooms []string) error {
		if call != "ListParticipants" {
			return nil
		}
		switch rooms[0] {
		case "call-gone":
			s.change(func() { delete(s.rooms, "call-gone") })
			return twirp.NotFoundError("the room does not exist")
		case "call-another":
			s.change(func() { s.rooms["call-another"] = &lkproto.Room{Name: "call-another", Sid: "RM_again"} })
		}
		return nil
	}
	answers, err := rooms.List(t.Context(), []string{"call-gone", "call-another", "call-same"})
	require.NoError(t, err)
	require.Len(t, answers, 1)
	requireListed(t, answers, "call-same")
}

func TestOddRoomsAreNoOthersMatter(t *testing.T) {
	t.Parallel()
	s, rooms := newStandIn(t, "call-x", "call-y", "call-not-asked-for")
	s.change(func() { s.rooms["call-x"] = &lkproto.Room{Name: "call-x", Sid: "has space"} })
	answers, err := rooms.List(t.Context(), []string{"call-x", "call-y"})
	require.NoError(t, err)
	require.Len(t, answers, 2)
	requireUnanswered(t, answers, "call-x") // A listing without a sid would say that it isn't there.
	requireListed(t, answers, "call-y")

	answers, err = rooms.List(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, answers, "no names are no rooms")
	names, err := rooms.Rooms(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"call-x", "call-y", "call-not-asked-for"}, names)
}

func TestAListingIsBounded(t *testing.T) {
	t.Parallel()
	var names []string
	for n := range 20 {
		names = append(names, "call-"+strconv.Itoa(n))
	}
	t.Run("in time", func(t *testing.T) {
		t.Parallel()
		s, rooms := newStandIn(t, names...)
		s.fail = func(ctx context.Context, call string, _ []string) error {
			if call == "ListParticipants" {
				return hang(ctx)
			}
			return nil
		}
		began := time.Now()
		answers, err := rooms.List(t.Context(), names)
		require.NoError(t, err)
		require.Less(t, time.Since(began), 10*time.Second)
		require.Len(t, answers, len(names))
		for _, name := range names {
			requireUnanswered(t, answers, name)
		}
	})
	t.Run("where nothing answers", func(t *testing.T) {
		t.Parallel()
		s, rooms := newStandIn(t, names...)
		s.fail = func(ctx context.Context, _ string, _ []string) error { return hang(ctx) }
		began := time.Now()
		_, err := rooms.List(t.Context(), names)
		require.ErrorIs(t, err, ports.ErrUnavailable)
		require.Less(t, time.Since(began), 10*time.Second)
	})
	t.Run("where one room makes each page slow", func(t *testing.T) {
		t.Parallel()
		s, rooms := newStandIn(t, names...)
		s.fail = func(ctx context.Context, call string, asked []string) error {
			if call == "ListRooms" && slices.Contains(asked, names[0]) {
				return hang(ctx)
			}
			return nil
		}
		answers, err := rooms.List(t.Context(), names)
		require.NoError(t, err)
		requireUnanswered(t, answers, names[0])
		requireListed(t, answers, names[1:]...)
	})
	t.Run("by its caller", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s, rooms := newStandIn(t, names...)
		s.fail = func(ctx context.Context, call string, _ []string) error {
			if call == "ListParticipants" {
				cancel()
				return hang(ctx)
			}
			return nil
		}
		_, err := rooms.List(ctx, names)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, ports.ErrUnavailable)
	})
}

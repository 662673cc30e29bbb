package live_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

func typesOf(t *testing.T, messages []live.Message) []events.Type {
	t.Helper()
	types := make([]events.Type, len(messages))
	for i, m := range messages {
		types[i] = eventOf(t, m).Type
	}
	return types
}

func TestAUserStreamBeginsNowAndShowsWhatComes(t *testing.T) {
	for hub := range 2 {
		r := setup(t)
		old := r.create(alice, "bob")
		stream := r.user(hub, bob, "")
		ready := take(t, stream, 1)[0]
		require.Equal(t, live.TypeReady, ready.Type)
		require.NotEmpty(t, ready.ID)
		r.retitle(old, "again")
		call := r.create(alice, "bob")
		r.create(alice, "carol")
		r.remove(old, "bob")
		r.retitle(old, "not for bob")
		r.retitle(call, "last")
		got := take(t, stream, 4)
		bySession := map[string][]events.Type{}
		for _, m := range got {
			e := eventOf(t, m)
			bySession[e.SessionID] = append(bySession[e.SessionID], e.Type)
		}
		require.Equal(t, map[string][]events.Type{
			old:  {events.CallUpdated, events.CallMemberRemoved},
			call: {events.CallCreated, events.CallUpdated},
		}, bySession)
		// Resumed at its beginning it shows them again, whoever was removed meanwhile included.
		require.ElementsMatch(t, typesOf(t, got), typesOf(t, take(t, r.user(1-hub, bob, ready.ID), 5))[1:], "after call.created, which is less old than the overlap")
	}
}

func TestAUserSeesASessionFromTheirMembershipOn(t *testing.T) {
	r := setup(t)
	before := take(t, r.user(0, bob, ""), 1)[0].ID
	id := r.create(alice)
	r.retitle(id, "without bob")
	r.add(id, "bob")
	r.retitle(id, "with bob")
	r.remove(id, "bob")
	r.retitle(id, "without bob again")
	want := []events.Type{events.CallMemberAdded, events.CallUpdated, events.CallMemberRemoved}
	require.Equal(t, want, typesOf(t, take(t, r.user(0, bob, before), 3)), "also where all of it happened while they were away")
}

func TestCursorsAreTheUsersOwn(t *testing.T) {
	r := setup(t)
	cursor := take(t, r.user(0, bob, ""), 1)[0].ID
	uc := live.FollowUser{Hub: r.hubs[0], Journal: r.store, Cursors: app.EventCursors{Keys: r.store}, Clock: r.clock}
	for _, wrong := range []string{"x", cursor + "A", "019ab1c2-5e00-7a10-8c3d-2f4b6a8c0e11"} {
		_, err := uc.Open(t.Context(), bob, wrong)
		require.ErrorIs(t, err, app.ErrInvalidCursor)
	}
	_, err := uc.Open(t.Context(), alice, cursor)
	require.ErrorIs(t, err, app.ErrInvalidCursor)
	page, err := app.ListSessions{Store: r.store, Cursors: r.store, Journal: r.store}.Do(t.Context(), bob, app.ListQuery{Limit: 1})
	require.NoError(t, err)
	id := r.create(alice, "bob")
	require.Equal(t, id, eventOf(t, take(t, r.user(1, bob, page.EventsCursor), 1)[0]).SessionID, "the list's cursor opens the stream")
}

// TestAUserMissesNothing has a user's streams at both replicas break at random, while several sessions change and hints are lost. What they
// have read together is everything; within a session new events come in order.
func TestAUserMissesNothing(t *testing.T) {
	r := setup(t)
	r.hint = func() bool { return rand.IntN(3) > 0 }
	const sessions, writes = 4, 60
	var ids []string
	cursor := take(t, r.user(0, bob, ""), 1)[0].ID
	for range sessions {
		ids = append(ids, r.create(alice, "bob"))
	}
	var running sync.WaitGroup
	for _, id := range ids {
		running.Go(func() {
			for i := range writes {
				r.retitle(id, strconv.Itoa(i))
			}
		})
	}
	read, seen := map[string][]string{}, map[string]bool{}
	for len(seen) < sessions*(writes+1) {
		stream, err := live.FollowUser{
			Hub: r.hubs[rand.IntN(2)], Journal: r.store, Cursors: app.EventCursors{Keys: r.store}, Clock: r.clock,
		}.Open(t.Context(), bob, cursor)
		require.NoError(t, err)
		for range 1 + rand.IntN(20) {
			messages, err := stream.Next(context.WithoutCancel(t.Context()))
			require.NoError(t, err)
			for _, m := range messages {
				cursor = m.ID
				if e := eventOf(t, m); !seen[e.EventID] {
					seen[e.EventID] = true
					read[e.SessionID] = append(read[e.SessionID], e.EventID)
				}
			}
			if len(seen) == sessions*(writes+1) {
				break
			}
		}
		stream.Close()
	}
	running.Wait()
	for _, id := range ids {
		require.Equal(t, r.log(id), read[id])
	}
}

// anHourOn is a journal that is read an hour after everything was logged.
type anHourOn struct{ ports.Journal }

func (j anHourOn) ReadUser(ctx context.Context, request ports.UserRequest) (ports.UserPage, error) {
	page, err := j.Journal.ReadUser(ctx, request)
	page.AsOf = page.AsOf.Add(time.Hour)
	return page, err
}

// TestAUserWhoIsAlwaysCutOffGetsOn: a connection that breaks after every second event brings its client on by one at least, also where
// everything that was missed happened within a moment.
func TestAUserWhoIsAlwaysCutOffGetsOn(t *testing.T) {
	r := setup(t)
	const writes = 2 * 64 // more than a page
	cursor := take(t, r.user(0, bob, ""), 1)[0].ID
	ids := []string{r.create(alice, "bob"), r.create(alice, "bob")}
	for i := range writes {
		r.retitle(ids[i%2], strconv.Itoa(i))
	}
	want := map[string][]string{ids[0]: r.log(ids[0]), ids[1]: r.log(ids[1])}
	seen, read := map[string]bool{}, map[string][]string{}
	for connections := 0; len(seen) < writes+2; connections++ {
		require.LessOrEqual(t, connections, writes+2, "it does not get on")
		stream, err := live.FollowUser{
			Hub: r.hubs[0], Journal: anHourOn{r.store}, Cursors: app.EventCursors{Keys: r.store}, Clock: r.clock,
		}.Open(t.Context(), bob, cursor)
		require.NoError(t, err)
		messages, err := stream.Next(t.Context())
		require.NoError(t, err)
		stream.Close()
		for _, m := range messages[:min(2, len(messages))] {
			cursor = m.ID
			if e := eventOf(t, m); !seen[e.EventID] {
				seen[e.EventID] = true
				read[e.SessionID] = append(read[e.SessionID], e.EventID)
			}
		}
	}
	require.Equal(t, want, read)
}

package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// These tests run in a bubble of their own time, in which waiting costs nothing.

const (
	interval = 15 * time.Second
	window   = 30 * time.Second
)

// media is a provider that lists what it is told to, unless it is away.
type media struct {
	mu      sync.Mutex
	rooms   map[string]domain.Listing
	failing map[string]bool // rooms that it has no answer for
	away    bool
	asked   int
	answer  func() // called before each answer
}

func (m *media) set(room string, l domain.Listing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.Room.SID == "" {
		delete(m.rooms, room)
		return
	}
	m.rooms[room] = l
}

func (m *media) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *media) List(_ context.Context, names []string) (map[string]ports.RoomAnswer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.away {
		return nil, unavailable()
	}
	if m.answer != nil {
		m.answer()
	}
	answers := map[string]ports.RoomAnswer{}
	for _, name := range names {
		if answers[name] = (ports.RoomAnswer{Listing: m.rooms[name]}); m.failing[name] {
			answers[name] = ports.RoomAnswer{Err: unavailable()}
		}
	}
	return answers, nil
}

// Ask answers with what is listed.
func (m *media) Ask(_ context.Context, room, identity string) (domain.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return domain.Answer{}, unavailable()
	}
	for _, p := range m.rooms[room].Participants {
		if p.Identity == identity {
			return domain.Answer{Kind: domain.Found, Found: p}, nil
		}
	}
	return domain.Answer{Kind: domain.NotFound}, nil
}

func (*media) Remove(context.Context, string, string) error { return ports.ErrNotFound }

func (*media) SetRole(context.Context, string, domain.DesiredPermission) error {
	return ports.ErrNotFound
}

func (m *media) fail(room string, failing bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing == nil {
		m.failing = map[string]bool{}
	}
	m.failing[room] = failing
}

func (m *media) Rooms(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, unavailable()
	}
	names := []string{"somebody-elses"}
	for name := range m.rooms {
		names = append(names, name)
	}
	return names, nil
}

// replica is what one process does in the background.
type replica struct {
	reconcile *app.Reconcile
	checks    *app.CheckRooms
}

func (b *bench) replica(m *media, name string) replica {
	bell := &app.Bell{}
	nudges := b.nudges
	nudges.Expire = bell.Wake
	inspect := app.Inspect{Mappings: b.store, Participants: m, Tally: b.tally, Nudges: nudges, Now: time.Now, Policy: policy}
	log := slog.New(slog.DiscardHandler)
	r := &app.Reconcile{
		Lease: b.store, Survey: b.store, Mappings: b.store, Media: m, Inspect: inspect, Tally: b.tally, Nudges: nudges,
		Log: log, Holder: name, Interval: interval, Liveness: 4 * window,
	}
	return replica{r, &app.CheckRooms{
		Bell: bell, List: b.store, Reader: b.store, Media: m, Inspect: inspect, Tally: b.tally, Log: log, Poll: time.Second,
	}}
}

func (r replica) run(t *testing.T) context.CancelFunc {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.reconcile.Run(ctx) })
	running.Go(func() { r.checks.Run(ctx) })
	stop := func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func sees(people ...string) domain.Listing {
	l := domain.Listing{Room: domain.RoomRef{Name: domain.RoomName(session), SID: "RM_1", CreatedAt: moment}}
	for _, identity := range people {
		l.Participants = append(l.Participants, domain.Listed{
			Connection: domain.Connection{Identity: identity, SID: "PA_" + identity, JoinedAt: moment}, State: domain.Active,
		})
	}
	return l
}

func (b *bench) types() []events.Type {
	var types []events.Type
	for _, e := range b.store.Events() {
		types = append(types, e.Type)
	}
	return types
}

// pass lets the test's own time go by (synctest: nobody waits for it), until everything that is due
// then has been done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestACallIsFollowedWithoutAnyWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{}}
		_, err := b.token(nil)
		require.NoError(t, err)
		b.replica(m, "one").run(t)
		m.set(room, sees("alice#default"))
		pass(interval + time.Second)
		want := []events.Type{events.CallConnecting, events.CallConnected, events.CallParticipantJoined}
		require.Equal(t, want, b.types())
		m.set(room, sees())
		pass(interval + domain.ConfirmDelay)
		want = append(want, events.CallParticipantReconnecting, events.CallReconnecting)
		require.Equal(t, want, b.types())
		m.set(room, domain.Listing{})
		pass(window + time.Second)
		want = append(want, events.CallParticipantLeft, events.CallDisconnected)
		require.Equal(t, want, b.types())
		require.Contains(t, b.tally.take(), "window:ended")
	})
}

func TestNobodyIsGoneWhileLiveKitIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}
		_, err := b.token(nil)
		require.NoError(t, err)
		r := b.replica(m, "one")
		r.run(t)
		pass(time.Second)
		m.setAway(true)
		require.NoError(t, app.HandleWebhook{Mappings: b.store, Tally: b.tally, Nudges: b.nudges, Now: time.Now, Policy: policy}.Do(t.Context(), leftBy("alice#default")))
		pass(10 * window)
		require.Equal(t, events.CallReconnecting, b.types()[len(b.types())-1], "nobody can say that she is gone")
		require.Contains(t, b.tally.take(), "reconciliation:given_up")
		back := sees("alice#default")
		back.Participants[0].SID, back.Participants[0].JoinedAt = "PA_new", moment.Add(time.Second)
		m.set(room, back)
		m.setAway(false)
		r.reconcile.Wake()
		pass(time.Second)
		require.Equal(t, []events.Type{events.CallParticipantReconnected, events.CallReconnected}, b.types()[5:], "as soon as LiveKit is back")
	})
}

func leftBy(identity string) ports.Webhook {
	return ports.Webhook{ID: "EV_left", Kind: "participant_left", RoomName: room, Fact: domain.ParticipantLeft{
		Observation: domain.Observation{Room: sees().Room, At: moment},
		Connection:  domain.Connection{Identity: identity, SID: "PA_" + identity, JoinedAt: moment}, Reason: events.LeaveConnectionTimeout,
	}}
}

func TestAGracePeriodEndsWhoeverComparesOtherRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}
		_, err := b.token(nil)
		require.NoError(t, err)
		stop := b.replica(m, "one").run(t)
		pass(time.Second)
		stop()
		require.NoError(t, app.HandleWebhook{Mappings: b.store, Tally: b.tally, Nudges: b.nudges, Now: time.Now, Policy: policy}.Do(t.Context(), leftBy("alice#default")))
		pass(2 * window)
		back := sees("alice#default")
		back.Participants[0].SID, back.Participants[0].JoinedAt = "PA_new", moment.Add(time.Second)
		m.set(room, back)
		dead, err := b.store.AcquireLease(t.Context(), "killed", 0, time.Minute)
		require.NoError(t, err)
		require.NotZero(t, dead)
		b.replica(m, "two").run(t)
		pass(5 * time.Second)
		require.NotContains(t, b.types(), events.CallParticipantLeft, "the room was looked at first")
		require.Contains(t, b.types(), events.CallParticipantReconnected)
	})
}

func TestReplicasCompareOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{}}
		_, err := b.token(nil)
		require.NoError(t, err)
		for _, name := range []string{"one", "two", "three"} {
			b.replica(m, name).run(t)
		}
		pass(10 * interval)
		passes, err := b.store.Progress(t.Context())
		require.NoError(t, err)
		require.Equal(t, passes.Begun, passes.Completed)
		require.InDelta(t, 12, passes.Completed, 3, "each did one at its start, and then one of them did one each interval")
	})
}

func TestTurnedOffItIsNeverWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{}}
		r := b.replica(m, "one")
		r.reconcile.Interval = 0
		r.run(t)
		pass(time.Hour)
		require.Zero(t, m.asked)
	})
}

func TestRoomsOfCallsThatAreOverAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{}}
		_, err := b.token(nil)
		require.NoError(t, err)
		require.NoError(t, b.follow(events.CallEndedPayload{Reason: "completed", SessionVersion: 2, EndedAt: events.At(moment)}))
		claimed, err := b.store.Claim(t.Context(), 1, time.Minute)
		require.NoError(t, err)
		require.NoError(t, b.store.Done(t.Context(), claimed[0]))
		m.set(room, sees("alice#default"))
		b.tally.take()
		did, err := b.replica(m, "one").reconcile.Pass(t.Context(), 0)
		require.NoError(t, err)
		require.True(t, did)
		require.Equal(t, []string{"reconciliation:completed", "nudge:delete"}, b.tally.take())
		claimed, err = b.store.Claim(t.Context(), 10, time.Minute)
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		require.Empty(t, b.types(), "nobody is shown")
	})
}

func TestAListingThatIsOutrunOrOldSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}
		_, err := b.token(nil)
		require.NoError(t, err)
		version := int64(5)
		m.answer = func() {
			version++
			require.NoError(t, b.store.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
				return ports.Change{Mapping: m.Learn(version)}, nil
			}))
		}
		r := b.replica(m, "one").reconcile
		_, err = r.Pass(t.Context(), 0)
		require.NoError(t, err)
		require.Empty(t, b.types(), "the mapping changed while LiveKit was asked")
		m.answer = func() { time.Sleep(time.Minute) } // of the test's own time: LiveKit doesn't answer
		_, err = r.Pass(t.Context(), 0)
		require.NoError(t, err)
		require.Empty(t, b.types())
		m.answer = nil
		pass(2 * time.Second) // until the room is tried again
		_, err = r.Pass(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, b.types(), 3)
	})
}

func TestManyCallsAreComparedInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{}}
		const calls = 120
		for n := range calls {
			id := fmt.Sprintf("0198a3c0-5f00-7000-8000-%012d", n)
			require.NoError(t, b.store.ChangeSession(t.Context(), id, func(mapping domain.Mapping) (ports.Change, error) {
				mapping, _, err := mapping.Admit(domain.GrantRequest{UserID: "alice", Role: events.RoleHost, SessionVersion: 1})
				return ports.Change{Mapping: mapping}, err
			}))
			l := sees("alice#default")
			l.Room.Name = domain.RoomName(id)
			m.set(l.Room.Name, l)
		}
		_, err := b.replica(m, "one").reconcile.Pass(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, 6, m.asked)
		require.Len(t, b.types(), 3*calls)
		for n := range calls {
			m.set(domain.RoomName(fmt.Sprintf("0198a3c0-5f00-7000-8000-%012d", n)), domain.Listing{})
		}
		_, err = b.replica(m, "two").reconcile.Pass(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, b.types(), 5*calls, "all rooms vanished at once")
	})
}

func TestAWindowWhoseCallCannotBeStoredIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}
		_, err := b.token(nil)
		require.NoError(t, err)
		r := b.replica(m, "one")
		_, err = r.reconcile.Pass(t.Context(), 0)
		require.NoError(t, err)
		require.NoError(t, app.HandleWebhook{Mappings: b.store, Tally: b.tally, Nudges: b.nudges, Now: time.Now, Policy: policy}.Do(t.Context(), leftBy("alice#default")))
		coming := sees("alice#default")
		coming.Participants[0].State = domain.Connecting
		m.set(room, coming)
		pass(window)
		require.NoError(t, r.checks.Due(t.Context()))
		require.Contains(t, b.tally.take(), "window:awaited", "she is on her way in")
		m.set(room, sees())
		pass(3 * time.Second)
		require.NoError(t, r.checks.Due(t.Context()))
		pass(domain.ConfirmDelay)
		b.store.Fail(unavailable())
		require.ErrorIs(t, r.checks.Due(t.Context()), ports.ErrUnavailable)
		b.store.Fail(nil)
		require.NoError(t, r.checks.Due(t.Context()))
		require.Equal(t, events.CallParticipantLeft, b.types()[len(b.types())-1])
	})
}

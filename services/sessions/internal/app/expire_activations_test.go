package app_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

const activationTimeout = 10 * time.Minute

// deadlines is a bundle with a worker on it.
type deadlines struct {
	*bundle
	timers   *memory.Timers
	presence *memory.Presence
	worker   app.ExpireActivations
}

func setupDeadlines(t *testing.T) *deadlines {
	b := setup(t)
	d := &deadlines{bundle: b, timers: memory.NewTimers(b.store, b.clock), presence: &memory.Presence{}}
	d.worker = app.ExpireActivations{
		Activations: d.timers, Store: b.store, Presence: d.presence, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters,
		Log: slog.New(slog.DiscardHandler), Timeout: activationTimeout, Poll: time.Millisecond,
	}
	return d
}

func (d *deadlines) status(id string) events.Status {
	d.t.Helper()
	view, err := d.store.Get(d.t.Context(), ports.System(), id)
	require.NoError(d.t, err)
	return view.Session.Status()
}

func (d *deadlines) due() {
	d.t.Helper()
	require.NoError(d.t, d.worker.Due(d.t.Context()))
}

func TestASessionThatNobodyJoinsFails(t *testing.T) {
	d := setupDeadlines(t)
	id := d.create(domain.Spec{})
	d.clock.Advance(activationTimeout - time.Second)
	d.due()
	require.Empty(t, d.presence.Asked())
	d.clock.Advance(time.Second)
	d.due()
	require.Equal(t, []string{id}, d.presence.Asked())
	require.Equal(t, events.StatusFailed, d.status(id))
	require.Equal(t, []events.Type{events.CallCreated, events.CallFailed}, d.types(id))
	require.Len(t, d.store.Outbox(), 2, "everybody is told")
	require.Equal(t, 1, d.counters.Count("deadline", "due"))
	require.Equal(t, 1, d.counters.Count("deadline", "failed"))
	d.clock.Advance(time.Hour)
	d.due()
	require.Len(t, d.presence.Asked(), 1)
}

// TestNoLiveCallIsFailed goes through everything that may stand in the way; the session waits until it is known for sure that nobody came.
func TestNoLiveCallIsFailed(t *testing.T) {
	for name, answer := range map[string]struct {
		shown ports.CallPresence
		err   error
	}{
		"somebody is connected":      {shown: ports.CallPresence{Connected: true}},
		"the event is on its way":    {shown: ports.CallPresence{Activated: true}},
		"the bridge is away":         {err: ports.ErrProviderUnavailable},
		"the bridge speaks nonsense": {err: errors.New("nonsense")},
		"the bridge takes too long":  {err: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			d := setupDeadlines(t)
			id := d.create(domain.Spec{})
			d.clock.Advance(activationTimeout)
			d.presence.Show(answer.shown, answer.err)
			waited := time.Duration(0)
			for range 12 {
				asked := len(d.presence.Asked())
				d.due()
				require.Len(t, d.presence.Asked(), asked+1)
				require.Equal(t, events.StatusCreated, d.status(id))
				next, waiting, err := d.timers.NextOverdue(t.Context(), activationTimeout)
				require.NoError(t, err)
				require.True(t, waiting)
				require.GreaterOrEqual(t, next, waited, "it asks ever more seldom")
				require.LessOrEqual(t, next, 5*time.Minute)
				waited = next
				d.clock.Advance(next)
			}
			require.Equal(t, 12, d.counters.Count("deadline", "postponed"))
			d.presence.Show(ports.CallPresence{}, nil)
			d.due()
			require.Equal(t, events.StatusFailed, d.status(id), "nobody is there after all")
		})
	}
}

func TestASessionThatOthersCarryFailsWithoutAQuestion(t *testing.T) {
	d := setupDeadlines(t)
	d.presence.Show(ports.CallPresence{}, ports.ErrProviderUnavailable)
	id := d.create(domain.Spec{Provider: "pstn"})
	d.clock.Advance(activationTimeout)
	d.due()
	require.Equal(t, events.StatusFailed, d.status(id))
	require.Empty(t, d.presence.Asked())
}

// joiner has somebody join while it is asked, and says that nobody has.
type joiner struct{ join func() }

func (j joiner) Ask(context.Context, string, int64) (ports.CallPresence, error) {
	j.join()
	return ports.CallPresence{}, nil
}

func TestWhoJoinsWhileItIsAskedIsInTime(t *testing.T) {
	d := setupDeadlines(t)
	id := d.create(domain.Spec{})
	d.clock.Advance(activationTimeout)
	d.worker.Presence = joiner{func() { d.apply(portstest.Fact(t, id, portstest.NewID(t), portstest.Connected(id, "alice"))) }}
	d.due()
	require.Equal(t, events.StatusActive, d.status(id))
	require.Equal(t, 1, d.counters.Count("deadline", "overtaken"))
	require.Equal(t, []events.Type{events.CallCreated, events.CallConnected}, d.types(id))
}

func TestASessionThatIsGoneIsNobodysProblem(t *testing.T) {
	d := setupDeadlines(t)
	d.create(domain.Spec{})
	d.clock.Advance(activationTimeout)
	d.worker.Store = memory.NewStore()
	d.due()
	require.Equal(t, 1, d.counters.Count("deadline", "overtaken"))
}

func TestAWorkerThatStopsHalfwayLeavesTheRestToAnother(t *testing.T) {
	d := setupDeadlines(t)
	id := d.create(domain.Spec{})
	d.clock.Advance(activationTimeout)
	ctx, cancel := context.WithCancel(t.Context())
	stopping := d.worker
	stopping.Presence = joiner{cancel}
	require.ErrorIs(t, stopping.Due(ctx), context.Canceled)
	require.Equal(t, events.StatusCreated, d.status(id))
	d.due()
	require.Equal(t, events.StatusCreated, d.status(id), "the lease of the one that stopped runs on")
	d.clock.Advance(time.Minute)
	d.due()
	require.Equal(t, events.StatusFailed, d.status(id))
}

// awaySessions is a store that can't be written.
type awaySessions struct{ ports.SessionStore }

func (awaySessions) Update(context.Context, ports.Viewer, string, func(*domain.Session) ([]ports.Entry, error)) (ports.View, error) {
	return ports.View{}, ports.ErrUnavailable
}

func TestAStoreThatIsAwayIsTriedAgain(t *testing.T) {
	d := setupDeadlines(t)
	id := d.create(domain.Spec{})
	d.clock.Advance(activationTimeout)
	away := d.worker
	away.Store = awaySessions{d.store}
	require.ErrorIs(t, away.Due(t.Context()), ports.ErrUnavailable)
	d.clock.Advance(time.Minute)
	d.due()
	require.Equal(t, events.StatusFailed, d.status(id))
}

// start runs work until the test ends.
func start(t *testing.T, work func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestDeadlinesAreWatched(t *testing.T) {
	d := setupDeadlines(t)
	start(t, d.worker.Run)
	ids := []string{d.create(domain.Spec{}), d.create(domain.Spec{})}
	d.clock.Advance(activationTimeout)
	for _, id := range ids {
		require.Eventually(t, func() bool { return d.status(id) == events.StatusFailed }, 10*time.Second, time.Millisecond)
	}
}

func (d *deadlines) retention(keep time.Duration) app.DeleteOldSessions {
	return app.DeleteOldSessions{Retention: d.timers, Counters: d.counters, Log: slog.New(slog.DiscardHandler), Keep: keep}
}

func (d *deadlines) end(id string) {
	d.t.Helper()
	status := events.StatusEnded
	_, err := app.UpdateSession{Store: d.store, Clock: d.clock, IDs: memory.IDs{}, Counters: d.counters}.Do(d.t.Context(), alice, id, domain.Patch{Status: &status})
	require.NoError(d.t, err)
}

func TestOldSessionsAreDeletedWhole(t *testing.T) {
	d := setupDeadlines(t)
	var old []string
	for range 120 {
		old = append(old, d.create(domain.Spec{}))
		d.end(old[len(old)-1])
	}
	d.clock.Advance(time.Hour)
	live, recent := d.create(domain.Spec{}), d.create(domain.Spec{})
	d.end(recent)
	d.apply(portstest.Fact(t, old[0], portstest.NewID(t), portstest.Connected(old[0], "alice")))
	require.Len(t, d.store.Quarantine(), 1)
	d.clock.Advance(time.Minute)
	require.NoError(t, d.retention(time.Hour).Do(t.Context()))
	for _, id := range old {
		_, err := d.store.Get(t.Context(), ports.System(), id)
		require.ErrorIs(t, err, domain.ErrNotFound)
	}
	require.Equal(t, events.StatusCreated, d.status(live))
	require.Equal(t, events.StatusEnded, d.status(recent))
	require.Empty(t, d.store.Quarantine())
	require.Equal(t, 120, d.counters.Count("deleted", "sessions"))

	d.apply(portstest.Fact(t, old[0], portstest.NewID(t), portstest.Connected(old[0], "alice")))
	d.clock.Advance(2 * time.Hour)
	require.NoError(t, d.retention(time.Hour).Do(t.Context()))
	require.Empty(t, d.store.Quarantine(), "what came after the deletion goes too")
	require.Equal(t, 1, d.counters.Count("deleted", "quarantine"))
}

func TestRetentionRunsUntilItIsStopped(t *testing.T) {
	d := setupDeadlines(t)
	id := d.create(domain.Spec{})
	d.end(id)
	d.retention(0).Run(t.Context()) // Everything is kept: there is nothing to do, and it returns.
	start(t, d.retention(time.Second).Run)
	d.clock.Advance(time.Minute)
	require.Eventually(t, func() bool {
		_, err := d.store.Get(t.Context(), ports.System(), id)
		return errors.Is(err, domain.ErrNotFound)
	}, 10*time.Second, 5*time.Millisecond)
}

// awayRetention is a database that is away.
type awayRetention struct{}

func (awayRetention) DeleteFinal(context.Context, time.Duration, int) (int, error) {
	return 0, ports.ErrUnavailable
}

func (awayRetention) DeleteStrayQuarantine(context.Context, time.Duration, int) (int, error) {
	return 0, ports.ErrUnavailable
}

func TestRetentionTellsThatTheDatabaseIsAway(t *testing.T) {
	d := setupDeadlines(t)
	away := d.retention(time.Hour)
	away.Retention = awayRetention{}
	require.ErrorIs(t, away.Do(t.Context()), ports.ErrUnavailable)
}

package simulation

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// SessionIDs are the sessions of every schedule, each with a call.
var SessionIDs = []string{"0190a000-0000-7000-8000-000000000001", "0190a000-0000-7000-8000-000000000002"}

const (
	owner = "olivia" // of each session, who is never in a call

	interval     = 15 * time.Second
	grace        = 30 * time.Second
	liveness     = time.Minute
	emptyTimeout = time.Minute
	tick         = 100 * time.Millisecond // the shortest time between two looks at what is due, and
	second       = time.Second            // the longest
)

// world is a provider, a sessions service, and the bridge between them.
type world struct {
	ctx      context.Context
	provider *Provider
	webhooks *webhooks
	bridge   *bridge
	calls    []*call
	log      *log
}

// Run plays a schedule in a bubble of its own time.
func Run(t *testing.T, s Schedule) Outcome {
	t.Helper()
	var outcome Outcome
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t.Context(), s)
		for _, step := range s.Steps {
			w.elapse(step.After)
			w.log.note("STEP %s", step)
			actions[step.Do](w, step, w.calls[step.Call])
			w.work()
		}
		w.settle(s.allowed())
		outcome = w.outcome()
		w.bridge.halt()
	})
	return outcome
}

func newWorld(ctx context.Context, s Schedule) *world {
	w := &world{ctx: ctx, webhooks: newWebhooks(), log: &log{began: time.Now()}}
	w.provider = newProvider(s.Redis, w.log.note, func(room, sid string, fact domain.Fact) {
		w.log.note("provider: %T %+v", fact, fact)
		w.webhooks.hear(room, sid, fact)
	})
	for _, id := range SessionIDs {
		w.calls = append(w.calls, newCall(id, w.provider))
	}
	w.provider.denied = func(room, identity string) {
		w.of(func(c *call) bool { return c.room == room }).rules.denied(identity)
	}
	w.bridge = newBridge(w.provider, newTally(w.log), 1+s.Extra, w.stored)
	w.bridge.start(ctx)
	w.work()
	return w
}

// elapse lets time go by, with all that is due meanwhile.
func (w *world) elapse(d time.Duration) {
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		w.pause(end)
	}
}

// pause lets time go by until something is due, or until the end.
func (w *world) pause(end time.Time) {
	time.Sleep(min(time.Until(end), max(w.next(), tick)))
	w.work()
}

// next is how long it is until something is due that the bridge does not begin by itself.
func (w *world) next() time.Duration {
	next := second
	soon := func(at time.Time) {
		if !at.IsZero() {
			next = min(next, time.Until(at))
		}
	}
	soon(w.provider.next())
	soon(w.webhooks.next())
	for _, c := range w.calls {
		soon(c.sessions.next())
	}
	return next
}

// work has happen what is due.
func (w *world) work() {
	synctest.Wait()
	w.provider.step()
	w.webhooks.deliver(w.deliver)
	for _, c := range w.calls {
		w.follow(c)
	}
	synctest.Wait()
}

// follow has the bridge take the events of a session that reach it now.
func (w *world) follow(c *call) {
	for !w.bridge.stopped() {
		e, due := c.sessions.due()
		if !due {
			return
		}
		err := w.bridge.follow(w.ctx, e)
		w.log.note("follow %s: %v", e.Type, err)
		if errors.Is(err, ports.ErrUnavailable) {
			c.sessions.again(tick)
			return
		}
		c.sessions.done()
		if err != nil {
			w.log.problem("following %s: %v", e.Type, err)
		}
	}
}

// deliver has the bridge take a webhook.
func (w *world) deliver(hook ports.Webhook) error {
	err := w.bridge.hear(w.ctx, hook)
	switch {
	case err == nil:
		w.of(func(c *call) bool { return c.room == hook.RoomName }).rules.hear(hook)
	case !errors.Is(err, ports.ErrUnavailable):
		w.log.problem("webhook %s: %v", hook.ID, err)
	}
	w.log.note("webhook %s, %v: %T %+v", hook.ID, err, hook.Fact, hook.Fact)
	return err
}

// stored has the sessions service take the events that the bridge stored.
func (w *world) stored(change ports.Change) {
	c := w.of(func(c *call) bool { return c.id == change.Mapping.SessionID() })
	for _, e := range change.Events {
		w.log.note("event: %s %s", e.Envelope().Type, e.Envelope().Payload)
		broken := c.rules.broken(e.Envelope(), change.Mapping)
		for _, broken := range append(broken, c.sessions.take(e)...) {
			w.log.problem("%s", broken)
		}
	}
	if change.DeleteRoom {
		w.log.note("delete the room")
	}
	for _, desired := range change.Permissions {
		w.log.note("permission: %+v", desired)
	}
}

func (w *world) of(is func(c *call) bool) *call { return w.calls[slices.IndexFunc(w.calls, is)] }

//go:build integration

package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/checker"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	calmSessions = 16
	calmChanges  = 12
	drainTime    = 60 * time.Second
	sayEvery     = 10 * time.Second
	impatience   = 8 * time.Second // the same for services that something is left out of: they may never come to their end
	collectTime  = time.Minute
)

// load makes load and breaks things by the schedule, until the last fault is over and everything is up again.
func (w *world) load(t *testing.T, faults []schedule.Fault, length time.Duration) {
	require.NoError(t, w.watch(t.Context()))
	t.Run("faults", func(t *testing.T) {
		t.Parallel()
		defer close(w.over)
		w.inject(t, faults, length)
	})
	for n := range tables {
		t.Run(fmt.Sprint("table ", n), func(t *testing.T) { t.Parallel(); w.sitAt(t, n) })
	}
	for n := range lines {
		t.Run(fmt.Sprint("line ", n), func(t *testing.T) { t.Parallel(); w.simulate(t, n) })
	}
	for n := range calls {
		t.Run(fmt.Sprint("call ", n), func(t *testing.T) { t.Parallel(); w.converse(t, n) })
	}
}

// settle waits until what goes on by itself has come to its end, has a little more done in the calm, and takes down how everything is. What
// does not come to its end the checker tells.
func (w *world) settle(t *testing.T) {
	t.Helper()
	t.Logf("%s: the load has ended", at(w))
	w.wait(t, agreement, w.callsAreOver)
	w.wait(t, agreement, w.hangUp)
	w.wait(t, agreement, w.roomsAreGone)
	w.wait(t, drainTime, w.lanesAreShared)
	w.wait(t, drainTime, w.isDrained)
	t.Logf("%s: everything has come to its end", at(w))
	require.NoError(t, w.calm(t.Context()))
	w.wait(t, drainTime, w.isDrained)
	w.wait(t, drainTime, w.remindersAreSet)
	w.collect(t)
	w.wait(t, drainTime, w.streamsAreWhole)
	w.stopObserving()
	streams := w.consumers.end()
	w.recorder.Note(func(h *history.History) { h.Streams = streams })
}

// wait waits until a check returns nil, or for so long, and says what it waits for.
func (w *world) wait(t *testing.T, atMost time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	if *wrong != "" {
		atMost = min(atMost, impatience)
	}
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	said := time.Now()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if time.Since(said) > sayEvery || ctx.Err() != nil {
			t.Logf("%s: waiting: %v", at(w), err)
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(listEvery):
		}
	}
}

// at is the time of the run, for people.
func at(w *world) time.Duration { return w.recorder.Now().Round(100 * time.Millisecond) }

// sessions are the sessions so far, by their settings.
func (w *world) sessions(settings ...history.Setting) map[string]*history.Session {
	found := map[string]*history.Session{}
	w.recorder.Read(func(h *history.History) {
		for id, s := range h.Sessions {
			for _, setting := range settings {
				if s.Setting == setting {
					found[id] = s
				}
			}
		}
	})
	return found
}

var everySetting = []history.Setting{history.Table, history.Replayed, history.Called, history.Calm}

// callsAreOver: no session goes on that has had a call.
func (w *world) callsAreOver(ctx context.Context) error {
	for id, s := range w.sessions(history.Called, history.Replayed) {
		read, err := w.API.As(s.Owner).Get(ctx, id)
		if err != nil {
			return fmt.Errorf("reading a session: %w", err)
		}
		for _, p := range read.Participants {
			if p.Status != "left" {
				return fmt.Errorf("session %s shows %s as %s", id, p.UserID, p.Status)
			}
		}
		if read.StartedAt != nil && read.EndedAt == nil {
			return fmt.Errorf("session %s is %s", id, read.Status)
		}
	}
	return nil
}

// hangUp ends the calls that nobody has come to. They would fail by themselves some time after they were made, which may be while everything is
// taken down: then streams would give what no log has.
func (w *world) hangUp(ctx context.Context) error {
	for id, s := range w.sessions(history.Called, history.Replayed) {
		read, err := w.API.As(s.Owner).Get(ctx, id)
		if err != nil {
			return fmt.Errorf("reading a session: %w", err)
		}
		if read.EndedAt != nil {
			continue
		}
		u := w.user(s.Owner)
		_, err = u.change(ctx, id, status("ended"))
		u.api.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// roomsAreGone: LiveKit has no room of a session that is over.
func (w *world) roomsAreGone(ctx context.Context) error {
	listing, err := w.list(ctx)
	if err != nil {
		return err
	}
	for id, s := range w.sessions(history.Called, history.Replayed) {
		if _, there := listing.Rooms[id]; !there {
			continue
		}
		read, err := w.API.As(s.Owner).Get(ctx, id)
		if err != nil {
			return fmt.Errorf("reading a session: %w", err)
		}
		if read.EndedAt != nil {
			return fmt.Errorf("LiveKit has a room for session %s, which is %s", id, read.Status)
		}
	}
	return nil
}

// isDrained: nothing is left to be published or taken in.
func (w *world) isDrained(ctx context.Context) error {
	for service, db := range map[string]stack.Database{schedule.Sessions: w.SessionsDB, schedule.Bridge: w.BridgeDB} {
		left, err := testkit.Texts(ctx, db.AdminURL, "SELECT routing_key FROM outbox WHERE published_at IS NULL LIMIT 100")
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%s has %d events or more to publish", service, len(left))
		}
	}
	var queues []struct {
		Name     string
		Messages int
	}
	if err := w.Vhost.Broker.Management.Do(ctx, "GET", "/api/queues/"+w.Vhost.Name, nil, &queues); err != nil {
		return fmt.Errorf("looking at the queues: %w", err)
	}
	for _, q := range queues {
		if q.Messages > 0 && !strings.HasSuffix(q.Name, ".dead") {
			return fmt.Errorf("%d messages wait in %s", q.Messages, q.Name)
		}
	}
	return nil
}

// calm has sessions changed quickly while nothing is broken.
func (w *world) calm(ctx context.Context) error {
	var going errgroup.Group
	for n := range calmSessions {
		going.Go(func() error {
			u := w.user(fmt.Sprint("calm-", n))
			defer u.api.Close()
			session, err := u.create(ctx, history.Calm, callplane.NewSession{Kind: "audio", Provider: "acme"})
			if err != nil {
				return err
			}
			for range calmChanges {
				if _, err := u.change(ctx, session.SessionID, u.anyNumber(0)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return going.Wait()
}

// remindersAreSet: the orchestrator has nothing left to do that the logs show.
func (w *world) remindersAreSet(ctx context.Context) error {
	for id, s := range w.sessions(history.Table) {
		log, err := w.API.As(s.Owner).Log(ctx, id)
		if err != nil {
			return fmt.Errorf("reading a log: %w", err)
		}
		asked, done := 0, 0
		for _, e := range log {
			if checker.IsReminder(e) {
				asked++
			}
			if e.Type == events.ActionExecuted {
				done++
			}
		}
		if done < asked {
			return fmt.Errorf("session %s has %d of %d reminders", id, done, asked)
		}
	}
	return nil
}

// collect takes down everything as it is in the end.
func (w *world) collect(t *testing.T) {
	t.Helper()
	ctx := testkit.Context(t, collectTime)
	owned := map[string][]callplane.Session{}
	for id, s := range w.sessions(everySetting...) {
		api := w.API.As(s.Owner)
		final, err := api.Get(ctx, id)
		require.NoError(t, err)
		log, err := api.Log(ctx, id)
		require.NoError(t, err)
		page, err := api.List(ctx, "", 200)
		require.NoError(t, err)
		owned[s.Owner] = page.Items
		w.recorder.Note(func(*history.History) { s.Final, s.Log = final, log })
	}
	aside, err := testkit.Texts(ctx, w.SessionsDB.AdminURL, "SELECT event_id::text || ' ' || reason FROM quarantine")
	require.NoError(t, err)
	listing, err := w.list(ctx)
	require.NoError(t, err)
	verify := w.Sessions.With(nil, "verify")
	t.Cleanup(verify.End)
	verify.Start(t)
	code := verify.Wait(t, collectTime)
	w.recorder.Note(func(h *history.History) {
		h.Owned, h.Published, h.Listed = owned, w.Observed.All(), listing.Rooms
		for _, line := range aside {
			id, reason, _ := strings.Cut(line, " ")
			h.Quarantined[id] = reason
		}
		if code != 0 {
			h.Verified = verify.Log()
		}
	})
}

// streamsAreWhole: each consumer that still follows has all that the logs have.
func (w *world) streamsAreWhole(context.Context) error {
	sessions := w.sessions(everySetting...)
	w.consumers.mu.Lock()
	defer w.consumers.mu.Unlock()
	for _, c := range w.consumers.all {
		for id, s := range sessions {
			if c.Session != "" && c.Session != id {
				continue
			}
			if given := c.given(id); given < len(s.Log) && c.followed() {
				return fmt.Errorf("%s has %d of %d events of session %s", c.Consumer, given, len(s.Log), id)
			}
		}
	}
	return nil
}

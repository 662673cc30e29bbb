package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	reconcilePage  = 20 // rooms that the provider is asked for at once: a slow one must answer for a page within the lease
	zombiePage     = 500
	reconcileLease = 10 * time.Second // for one page, or one wait for the second look
	reconcileSoon  = time.Second      // until somebody else's pass is looked at again
)

// Reconcile compares all calls that go on with what the provider lists, so that no webhook is needed for the truth. The replicas do it
// one at a time, in pages, and a call of which there are no news is only read.
type Reconcile struct {
	Bell

	Turns    ports.Turns
	Surveys  ports.Surveys
	Mappings ports.Mappings
	Media    ports.MediaListings
	Inspect  Inspect
	Tally    ports.Tally
	Nudges   ports.Nudges
	Log      *slog.Logger
	Holder   string        // the name of this replica
	Interval time.Duration // 0: never

	begun  int64 // the pass that was under way, or the last one, when this replica started
	known  bool  // whether begun is
	passed atomic.Bool
}

// Ready says whether all calls were compared with the provider since this replica started, or never will be.
func (r *Reconcile) Ready() bool { return r.Interval == 0 || r.passed.Load() }

// Run works until ctx ends: at once, at each interval, and when it is woken.
func (r *Reconcile) Run(ctx context.Context) {
	if r.Interval == 0 {
		return
	}
	forced, failures := true, 0
	for ctx.Err() == nil {
		every := r.Interval
		if forced {
			every = 0
		}
		ran, err := r.Pass(ctx, every)
		wait := r.Interval
		switch {
		case err != nil:
			wait = retryIn(failures)
			failures++
		case ran:
			forced, failures = false, 0
		case forced:
			wait = min(reconcileSoon, r.Interval)
		}
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "calls can't be compared with LiveKit, trying again", slog.Any("error", err), slog.Duration("in", wait))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.signal():
			forced = true
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Pass compares all calls once, unless another replica does or did less than every ago, and says whether it did.
func (r *Reconcile) Pass(ctx context.Context, every time.Duration) (bool, error) {
	if err := r.look(ctx); err != nil {
		return false, err
	}
	pass, err := r.Turns.TakeTurn(ctx, r.Holder, every, reconcileLease)
	if err != nil || pass == 0 {
		return false, err
	}
	err = r.compare(ctx, pass)
	// The turn is given back also where ctx has ended: the next replica need not wait for the lease.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err = errors.Join(err, r.Turns.EndTurn(ending, r.Holder, pass, err == nil))
	if err != nil {
		r.Tally.Reconciliation("given_up")
		return false, err
	}
	r.Tally.Reconciliation("completed")
	return true, r.look(ctx)
}

// look sees how far the replicas are.
func (r *Reconcile) look(ctx context.Context) error {
	passes, err := r.Turns.Passes(ctx)
	if err != nil {
		return fmt.Errorf("looking for the last pass: %w", err)
	}
	if !r.known {
		r.begun, r.known = passes.Begun, true
	}
	if passes.Completed > 0 {
		r.Tally.Reconciled(passes.Ago)
	}
	if passes.Completed > r.begun && !r.passed.Swap(true) {
		r.Nudges.Expire()
	}
	return nil
}

// suspect is a session in which something was missed.
type suspect struct {
	sessionID string
	missing   domain.Missing
}

func (r *Reconcile) compare(ctx context.Context, pass int64) error {
	var suspects []suspect
	after := ""
	for {
		if err := r.Turns.KeepTurn(ctx, r.Holder, pass, reconcileLease); err != nil {
			return err
		}
		page, err := r.Surveys.Unsettled(ctx, after, reconcilePage)
		if err != nil {
			return fmt.Errorf("reading the calls that go on: %w", err)
		}
		found, err := r.inspect(ctx, page, nil)
		if err != nil {
			return err
		}
		suspects = append(suspects, found...)
		if len(page) < reconcilePage {
			break
		}
		after = page[len(page)-1].SessionID()
	}
	if err := r.confirm(ctx, pass, suspects); err != nil {
		return err
	}
	return r.buryZombies(ctx, pass)
}

// inspect asks the provider for the rooms of a page, and returns where something was missed.
func (r *Reconcile) inspect(ctx context.Context, page []domain.Mapping, before map[string]domain.Missing) ([]suspect, error) {
	if len(page) == 0 {
		return nil, nil
	}
	names := make([]string, len(page))
	for n, m := range page {
		names[n] = m.RoomName()
	}
	asked := r.Inspect.Now()
	listings, err := r.Media.List(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("asking LiveKit for rooms: %w", err)
	}
	var suspects []suspect
	for _, m := range page {
		listing, answered := listings[m.RoomName()]
		if !answered {
			continue // The room is changing at this moment; the next pass sees it.
		}
		_, missing, err := r.Inspect.Do(ctx, sight{mapping: m, listing: listing, asked: asked, before: before[m.SessionID()]})
		if err != nil {
			return nil, err
		}
		if missing.Some() {
			suspects = append(suspects, suspect{m.SessionID(), missing})
		}
	}
	return suspects, nil
}

// confirm looks a second time at what was missed, a while after the first.
func (r *Reconcile) confirm(ctx context.Context, pass int64, suspects []suspect) error {
	for len(suspects) > 0 {
		some := suspects[:min(len(suspects), reconcilePage)]
		suspects = suspects[len(some):]
		if err := r.pause(ctx, some[len(some)-1].missing.At.Add(domain.SecondLook)); err != nil {
			return err
		}
		if err := r.Turns.KeepTurn(ctx, r.Holder, pass, reconcileLease); err != nil {
			return err
		}
		before := make(map[string]domain.Missing, len(some))
		ids := make([]string, 0, len(some))
		for _, s := range some {
			before[s.sessionID] = s.missing
			ids = append(ids, s.sessionID)
		}
		page, err := r.Surveys.Named(ctx, ids)
		if err != nil {
			return fmt.Errorf("reading calls once more: %w", err)
		}
		if _, err := r.inspect(ctx, page, before); err != nil {
			return err
		}
	}
	return nil
}

// pause waits until the given time.
func (r *Reconcile) pause(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(until.Sub(r.Inspect.Now()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// buryZombies has the rooms deleted that live although their calls are over. Rooms of others are never touched.
func (r *Reconcile) buryZombies(ctx context.Context, pass int64) error {
	names, err := r.Media.Rooms(ctx)
	if err != nil {
		return fmt.Errorf("asking LiveKit for all rooms: %w", err)
	}
	for len(names) > 0 {
		some := names[:min(len(names), zombiePage)]
		names = names[len(some):]
		if err := r.Turns.KeepTurn(ctx, r.Holder, pass, reconcileLease); err != nil {
			return err
		}
		sessions, err := r.Surveys.Zombies(ctx, some)
		if err != nil {
			return fmt.Errorf("looking for rooms of calls that are over: %w", err)
		}
		for _, id := range sessions {
			var change ports.Change
			err := r.Mappings.ChangeSession(ctx, id, func(m domain.Mapping) (ports.Change, error) {
				change = ports.Change{Mapping: m, DeleteRoom: m.Over()}
				return change, nil
			})
			if err != nil {
				return fmt.Errorf("having a room deleted: %w", err)
			}
			announce(r.Tally, r.Nudges, change)
		}
	}
	return nil
}

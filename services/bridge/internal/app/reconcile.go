package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	reconcilePage  = 20 // rooms that the provider is asked for at once
	orphanPage     = 500
	reconcileLease = 10 * time.Second // renewed while a pass goes on
	reconcileSoon  = time.Second      // until another replica's pass is looked at again
)

// Reconcile compares all calls that go on with what the provider lists, so that no webhook is
// needed for the truth. The replicas do it one at a time, in pages, and a call of which there are
// no news is only read. Rooms are independent: a pass is complete when each was answered for or
// tried.
type Reconcile struct {
	Bell

	Lease    ports.ReconcileLease
	Survey   ports.MappingSurvey
	Mappings ports.Mappings
	Media    ports.MediaListings
	Inspect  Inspect
	Tally    ports.Tally
	Nudges   ports.Nudges
	Log      *slog.Logger
	Holder   string        // the name of this replica
	Interval time.Duration // 0: never
	Liveness time.Duration // how long a participant may be listed without a sign of life before they are asked for

	rooms    *roomHealth
	liveness *liveness
}

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

// Pass compares all calls once, unless another replica does or did less than every ago, and says
// whether it did.
func (r *Reconcile) Pass(ctx context.Context, every time.Duration) (bool, error) {
	if r.rooms == nil {
		r.rooms, r.liveness = newRoomHealth(r.Log, 2*r.Interval), newLiveness(r.Liveness)
	}
	pass, err := r.Lease.AcquireLease(ctx, r.Holder, every, reconcileLease)
	if err != nil || pass == 0 {
		return false, errors.Join(err, r.report(ctx))
	}
	err = r.holding(ctx, pass, r.compare)
	// The lease is released also where ctx has ended: the next replica need not wait for its end.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err = errors.Join(err, r.Lease.ReleaseLease(ending, r.Holder, pass, err == nil))
	if err != nil {
		r.Tally.Reconciliation("given_up")
		return false, err
	}
	r.Tally.Reconciliation("completed")
	r.liveness.passed()
	r.deleteOrphans(ctx)
	return true, r.report(ctx)
}

// report has the metrics show how long ago the last pass was completed, by any replica.
func (r *Reconcile) report(ctx context.Context) error {
	progress, err := r.Lease.Progress(ctx)
	if err != nil {
		return fmt.Errorf("looking for the last pass: %w", err)
	}
	if progress.Completed > 0 {
		r.Tally.Reconciled(progress.Ago)
	}
	return nil
}

// holding does work while the lease is renewed; the work's context ends where it is lost.
func (r *Reconcile) holding(ctx context.Context, pass int64, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		ticker := time.NewTicker(reconcileLease / 4)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := r.Lease.RenewLease(ctx, r.Holder, pass, reconcileLease); err != nil {
				cancel(err)
				return
			}
		}
	}()
	err := work(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	<-renewed
	return err
}

// suspect is a session in which something is missing.
type suspect struct {
	sessionID string
	missing   domain.Missing
}

func (r *Reconcile) compare(ctx context.Context) error {
	r.liveness.begin(r.Inspect.Now().Add(r.share()))
	suspects, failing, rooms, err := r.survey(ctx)
	if err == nil {
		err = r.confirm(ctx, suspects)
	}
	if err == nil {
		err = r.retry(ctx, failing)
	}
	if err != nil {
		return err
	}
	r.rooms.keep(rooms)
	r.Tally.RoomsUnanswered(len(r.rooms.failed))
	return nil
}

// share is how much of a pass may go by waiting for nodes that don't answer: the other rooms are to
// be compared meanwhile.
func (r *Reconcile) share() time.Duration { return max(r.Interval, reconcileLease) / 2 }

// survey looks at all rooms but those that the provider gave no answer for, and returns where
// something is missing, the sessions of those others whose next try is due, and the names of all
// rooms.
func (r *Reconcile) survey(ctx context.Context) (suspects []suspect, failing []string, rooms map[string]bool, err error) {
	rooms = map[string]bool{}
	for after := ""; ; {
		page, err := r.Survey.ListActive(ctx, after, reconcilePage)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("reading the calls that go on: %w", err)
		}
		var healthy []domain.Mapping
		for _, m := range page {
			rooms[m.RoomName()] = true
			fails, due := r.rooms.failing(m.RoomName(), r.Inspect.Now())
			switch {
			case !fails:
				healthy = append(healthy, m)
			case due:
				failing = append(failing, m.SessionID())
			}
		}
		found, err := r.inspect(ctx, healthy, nil)
		if err != nil {
			return nil, nil, nil, err
		}
		suspects = append(suspects, found...)
		if len(page) < reconcilePage {
			return suspects, failing, rooms, nil
		}
		after = page[len(page)-1].SessionID()
	}
}

// retry looks again at rooms that the provider gave no answer for, for no longer than its share of
// the pass; what is left is tried in the next one.
func (r *Reconcile) retry(ctx context.Context, sessionIDs []string) error {
	until := r.Inspect.Now().Add(r.share())
	for len(sessionIDs) > 0 && r.Inspect.Now().Before(until) {
		some := sessionIDs[:min(len(sessionIDs), reconcilePage)]
		sessionIDs = sessionIDs[len(some):]
		page, err := r.Survey.ByIDs(ctx, some)
		if err != nil {
			return fmt.Errorf("reading calls once more: %w", err)
		}
		suspects, err := r.inspect(ctx, page, nil)
		if err != nil {
			return err
		}
		if err := r.confirm(ctx, suspects); err != nil {
			return err
		}
	}
	return nil
}

// inspect asks the provider for the rooms of a page, and returns where something is missing.
func (r *Reconcile) inspect(ctx context.Context, page []domain.Mapping, before map[string]domain.Missing) ([]suspect, error) {
	if len(page) == 0 {
		return nil, ctx.Err()
	}
	asked, names := r.Inspect.Now(), make([]string, len(page))
	for n, m := range page {
		names[n] = m.RoomName()
	}
	answers, err := r.Media.List(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("asking LiveKit for rooms: %w", err)
	}
	var listed []inspection
	for _, m := range page {
		answer, answered := answers[m.RoomName()]
		switch {
		case !answered: // The room is changing at this moment; the next pass looks at it.
		case answer.Err != nil:
			r.rooms.fail(ctx, m.RoomName(), answer.Err, r.Inspect.Now())
		default:
			var silent map[string]bool
			if before == nil { // A second look confirms what the first one missed, and asks for none besides.
				silent = r.liveness.silent(answer.Listing, r.Inspect.Now())
			}
			listed = append(listed, inspection{
				mapping: m, listing: answer.Listing, asked: asked, silent: silent, before: before[m.SessionID()],
			})
		}
	}
	return r.judge(ctx, listed)
}

// judge makes the inspections of a page side by side, so that a room whose node is slow to answer
// holds up few others. A room that can't be judged is tried again by itself. An error is one of the
// database, or ctx's.
func (r *Reconcile) judge(ctx context.Context, listed []inspection) ([]suspect, error) {
	found, failed := make([]inspected, len(listed)), make([]error, len(listed))
	var running sync.WaitGroup
	for n, in := range listed {
		running.Go(func() { found[n], failed[n] = r.Inspect.Do(ctx, in) })
	}
	running.Wait()
	var suspects []suspect
	for n, in := range listed {
		room, err := in.mapping.RoomName(), failed[n]
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ports.ErrUnavailable):
			return nil, err
		case err != nil:
			r.rooms.fail(ctx, room, err, r.Inspect.Now())
		case found[n].failure != nil:
			r.rooms.fail(ctx, room, found[n].failure, r.Inspect.Now())
		default:
			r.rooms.answer(ctx, room)
		}
		r.liveness.answered(in.listing, found[n].answers, r.Inspect.Now())
		if !found[n].missing.IsEmpty() {
			suspects = append(suspects, suspect{in.mapping.SessionID(), found[n].missing})
		}
	}
	return suspects, nil
}

// confirm looks a second time at what was missing, a while after the first.
func (r *Reconcile) confirm(ctx context.Context, suspects []suspect) error {
	for len(suspects) > 0 {
		some := suspects[:min(len(suspects), reconcilePage)]
		suspects = suspects[len(some):]
		if err := r.pause(ctx, some[len(some)-1].missing.At.Add(domain.ConfirmDelay)); err != nil {
			return err
		}
		before := make(map[string]domain.Missing, len(some))
		ids := make([]string, 0, len(some))
		for _, s := range some {
			before[s.sessionID] = s.missing
			ids = append(ids, s.sessionID)
		}
		page, err := r.Survey.ByIDs(ctx, ids)
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

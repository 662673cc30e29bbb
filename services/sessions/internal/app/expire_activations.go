package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	activationBatch   = 16
	activationLease   = 30 * time.Second // well above the time that a question and a transaction may take
	minActivationWait = 5 * time.Second
	maxActivationWait = 5 * time.Minute
)

// What becomes of a session whose activation deadline has passed, as it is counted.
const (
	activationDue       = "due"
	activationFailed    = "failed"
	activationPostponed = "postponed"
	activationOvertaken = "overtaken" // it became active or final meanwhile
)

// ExpireActivations fails the sessions that nobody has joined in time. The provider's side is asked first, outside any transaction; unless
// it says that nobody is or was in the call, the session waits on. A crash in between only repeats the question.
type ExpireActivations struct {
	Activations ports.Activations
	Store       ports.SessionStore
	Presence    ports.MediaPresence
	Clock       ports.Clock
	IDs         ports.IDs
	Counters    ports.Counters
	Log         *slog.Logger
	Timeout     time.Duration // from a session's creation on
	Poll        time.Duration // the longest pause between two looks at the list
}

// Run works until ctx ends.
func (e ExpireActivations) Run(ctx context.Context) {
	for {
		pause := e.Poll
		if err := e.Due(ctx); err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, "activation deadlines can't be worked on, trying again", slog.Any("error", err), slog.Duration("in", pause))
		} else if next, waiting, err := e.Activations.NextOverdue(ctx, e.Timeout); err == nil && waiting {
			pause = min(max(next, 10*time.Millisecond), e.Poll)
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// Due works on every session whose time has come and returns when there is none left. One that waits on is no error.
func (e ExpireActivations) Due(ctx context.Context) error {
	for {
		claimed, err := e.Activations.ClaimOverdue(ctx, e.Timeout, activationBatch, activationLease)
		if err != nil {
			return fmt.Errorf("claiming sessions that nobody has joined: %w", err)
		}
		if len(claimed) == 0 {
			return nil
		}
		var running sync.WaitGroup
		failed := make([]error, len(claimed))
		for n, overdue := range claimed {
			running.Go(func() { failed[n] = e.one(ctx, overdue) })
		}
		running.Wait()
		if err := errors.Join(failed...); err != nil {
			return err
		}
	}
}

func (e ExpireActivations) one(ctx context.Context, overdue ports.OverdueActivation) error {
	e.Counters.ActivationDeadline(activationDue)
	if overdue.Provider == domain.ProviderManaged {
		reason, err := e.inTheWay(ctx, overdue)
		if err != nil {
			return err
		}
		if reason != nil {
			return e.postpone(ctx, overdue, *reason)
		}
	}
	outcome := activationOvertaken
	_, err := e.Store.Update(ctx, ports.System(), overdue.SessionID, func(session *domain.Session) ([]ports.Entry, error) {
		outcome = activationOvertaken
		now := e.Clock.Now()
		drafts := session.ExpireActivation(now)
		if len(drafts) > 0 {
			outcome = activationFailed
		}
		return sealed(e.IDs, e.Counters, overdue.SessionID, drafts, now)
	})
	if errors.Is(err, domain.ErrNotFound) {
		outcome, err = activationOvertaken, nil
	}
	if err != nil {
		return fmt.Errorf("failing session %s, which nobody has joined: %w", overdue.SessionID, err)
	}
	e.Counters.ActivationDeadline(outcome)
	if outcome == activationFailed {
		e.Log.InfoContext(ctx, "a session failed: nobody joined it in time", slog.String("session_id", overdue.SessionID))
	}
	return nil
}

// inTheWay returns why the session must wait on, nil where it need not. The error is that of a context that has ended.
func (e ExpireActivations) inTheWay(ctx context.Context, overdue ports.OverdueActivation) (*slog.Attr, error) {
	asking, cancel := context.WithTimeout(ctx, TokenDeadline)
	defer cancel()
	presence, err := e.Presence.Ask(asking, overdue.SessionID, overdue.SessionVersion)
	var reason slog.Attr
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("asking who is in session %s: %w", overdue.SessionID, ctx.Err())
	case err != nil:
		reason = slog.Any("error", err)
	case presence.Connected:
		reason = slog.String("reason", "somebody is connected")
	case presence.Activated:
		reason = slog.String("reason", "somebody was in the call, and the event that tells so is on its way")
	default:
		return nil, nil
	}
	return &reason, nil
}

func (e ExpireActivations) postpone(ctx context.Context, overdue ports.OverdueActivation, reason slog.Attr) error {
	wait := activationWait(overdue.Claims)
	if err := e.Activations.Postpone(ctx, overdue, e.Timeout, wait); err != nil {
		return fmt.Errorf("postponing the deadline of session %s: %w", overdue.SessionID, err)
	}
	e.Counters.ActivationDeadline(activationPostponed)
	e.Log.WarnContext(ctx, "a session whose activation deadline has passed waits on", slog.String("session_id", overdue.SessionID), reason,
		slog.Int("attempts", overdue.Claims), slog.Duration("in", wait))
	return nil
}

// activationWait doubles with every claim.
func activationWait(claims int) time.Duration {
	return min(minActivationWait<<min(max(claims-1, 0), 10), maxActivationWait)
}

// sleep waits, and reports false where ctx ended first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

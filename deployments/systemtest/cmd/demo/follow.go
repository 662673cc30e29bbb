package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
)

const (
	// pollInterval is how often the log is read; it is the floor of every figure shown.
	pollInterval = 50 * time.Millisecond
	// patience is how long one step waits for what it leads to.
	patience = 15 * time.Second
)

// seen is an event of the log with what the demo needs of its payload.
type seen struct {
	callplane.Event
	facts facts
}

// follower reads the session's log as it grows, shows each event, and lets the script wait for them.
type follower struct {
	api       *callplane.Client
	sessionID string
	show      func(seen)

	mu      sync.Mutex
	log     []seen
	changed chan struct{} // closed and replaced whenever the log has grown
	err     error
}

func newFollower(api *callplane.Client, sessionID string, show func(seen)) *follower {
	return &follower{api: api, sessionID: sessionID, show: show, changed: make(chan struct{})}
}

// run reads until ctx ends or the API refuses.
func (f *follower) run(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if err := f.read(ctx); err != nil {
			if ctx.Err() == nil {
				f.wake(nil, err)
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// read takes what the log has more than before.
func (f *follower) read(ctx context.Context) error {
	for {
		page, err := f.api.Events(ctx, f.sessionID, f.watermark(), 0)
		if err != nil {
			return fmt.Errorf("reading the session's events: %w", err)
		}
		fresh := make([]seen, 0, len(page.Items))
		for _, e := range page.Items {
			facts, err := factsOf(e)
			if err != nil {
				return err
			}
			s := seen{Event: e, facts: facts}
			f.show(s)
			fresh = append(fresh, s)
		}
		f.wake(fresh, nil)
		if !page.HasMore {
			return nil
		}
	}
}

func (f *follower) watermark() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.log) == 0 {
		return ""
	}
	return f.log[len(f.log)-1].EventID
}

func (f *follower) wake(fresh []seen, err error) {
	if len(fresh) == 0 && err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fresh...)
	f.err = err
	close(f.changed)
	f.changed = make(chan struct{})
}

// events is the log as far as it was read.
func (f *follower) events() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.log...)
}

// await returns when the log has an event of the type that is about the user (anybody where it is empty).
func (f *follower) await(ctx context.Context, t events.Type, user string) error {
	expected := string(t)
	if user != "" {
		expected += " of " + user
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it didn't come within %s", patience))
	defer cancel()
	for {
		f.mu.Lock()
		log, err, changed := f.log, f.err, f.changed
		f.mu.Unlock()
		for _, e := range log {
			if e.Type == t && (user == "" || e.facts.UserID == user) {
				return nil
			}
		}
		if err != nil {
			return &unexpected{expected: expected, came: err.Error(), cause: err}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &unexpected{expected: expected, came: context.Cause(ctx).Error(), cause: context.Cause(ctx)}
		}
	}
}

// unexpected says what the demo expected and what came instead.
type unexpected struct {
	expected, came string
	cause          error
}

func (u *unexpected) Error() string { return fmt.Sprintf("expected %s, but: %s", u.expected, u.came) }

func (u *unexpected) Unwrap() error { return u.cause }

// differs makes an unexpected of everything that is wrong, nil when nothing is.
func differs(expected string, wrong []string) error {
	if len(wrong) == 0 {
		return nil
	}
	errs := make([]error, len(wrong))
	for i, w := range wrong {
		errs[i] = errors.New(w)
	}
	return &unexpected{expected: expected, came: errors.Join(errs...).Error()}
}

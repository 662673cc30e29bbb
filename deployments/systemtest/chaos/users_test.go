//go:build integration

package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/checker"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

const (
	tables    = 3                      // sessions that several change at the same time
	tableOpen = 25 * time.Second       // at most; then the next one is opened
	userPause = 600 * time.Millisecond // at most, between what one user does
)

// numbers are given once each.
var numbers atomic.Int64

func (w *world) number() int { return int(numbers.Add(1)) }

// active says whether there is still load to be made.
func (w *world) active() bool {
	select {
	case <-w.over:
		return false
	default:
		return true
	}
}

// sitAt has a session after the other changed, read and spoken in by several at once.
func (w *world) sitAt(t *testing.T, table int) {
	ctx := t.Context()
	for w.active() {
		if err := w.oneTable(ctx, table); err != nil {
			t.Errorf("table %d: %v", table, err)
			return
		}
	}
}

func (w *world) oneTable(ctx context.Context, table int) error {
	owner := w.user(fmt.Sprintf("table-%d-%d", table, w.number()))
	defer owner.api.Close()
	session, err := owner.create(ctx, history.Table, callplane.NewSession{Kind: "audio", Provider: "acme"})
	if err != nil {
		return err
	}
	id := session.SessionID
	w.follow(owner.name, id)
	until := time.Now().Add(tableOpen/2 + time.Duration(owner.chance.Int64N(int64(tableOpen/2))))
	var sitting errgroup.Group
	for n := range 3 {
		sitting.Go(func() error {
			guest := &user{w: w, name: fmt.Sprintf("%s/%d", owner.name, n), chance: w.chanceOf(fmt.Sprint(owner.name, n)), api: owner.api}
			for w.active() && time.Now().Before(until) {
				if err := guest.act(ctx, id); err != nil {
					return err
				}
				rest(ctx, time.Duration(guest.chance.Int64N(int64(userPause))))
			}
			return nil
		})
	}
	if err := sitting.Wait(); err != nil {
		return err
	}
	if _, err := owner.change(ctx, id, status("ended")); err != nil {
		return err
	}
	_ = owner.act(ctx, id) // what comes too late
	owner.get(ctx, id)
	return nil
}

// act does one of the things that a user of the API does.
func (u *user) act(ctx context.Context, id string) error {
	var err error
	switch draw := u.chance.IntN(20); {
	case draw < 6:
		u.get(ctx, id)
	case draw < 10:
		_, err = u.change(ctx, id, u.anyNumber(0))
	case draw < 13: // only if nobody else was faster
		if read, ok := u.get(ctx, id); ok {
			_, err = u.change(ctx, id, u.anyNumber(read.Version))
		}
	case draw < 15:
		_, err = u.change(ctx, id, u.anyTitle)
	case draw < 16:
		_, err = u.change(ctx, id, activation)
	default:
		err = u.say(ctx, id)
	}
	return err
}

// anyNumber is a change that nobody else makes.
func (u *user) anyNumber(ifMatch int64) func() (history.Change, map[string]any) {
	return func() (history.Change, map[string]any) {
		n := u.w.number()
		return history.Change{Number: n, IfMatch: ifMatch}, map[string]any{"metadata": map[string]int{"change": n}}
	}
}

func (u *user) anyTitle() (history.Change, map[string]any) {
	title := fmt.Sprintf("title %d", u.w.number())
	return history.Change{Title: title}, map[string]any{"title": title}
}

func status(to string) func() (history.Change, map[string]any) {
	return func() (history.Change, map[string]any) {
		return history.Change{Status: to}, map[string]any{"status": to}
	}
}

// activation is always the same, so that it may be repeated.
func activation() (history.Change, map[string]any) {
	return history.Change{Status: "active"}, map[string]any{
		"status": "active", "providerRoomId": "room", "providerParticipantId": "participant", "providerCallId": "call",
	}
}

// say has something said in a session, until it is acknowledged, and at times once more. At times the orchestrator has to do something.
func (u *user) say(ctx context.Context, id string) error {
	scribe := &user{w: u.w, name: u.name + "/scribe", chance: u.chance, api: u.api.As("scribe", "call:events")}
	key, text := uuid.Must(uuid.NewV7()).String(), fmt.Sprintf("So it goes, %d.", u.w.number())
	if u.chance.IntN(2) == 0 {
		text = fmt.Sprintf("%s of %d.", checker.Reminder, u.w.number())
	}
	now := events.At(time.Now())
	payload := events.TranscriptFinalPayload{Transcript: events.Transcript{
		SegmentID: "asr-1/1", Sequence: 1, Revision: 1, Text: text, StartedAt: now, EndedAt: now,
	}}
	for again := true; again; again = u.chance.IntN(4) == 0 {
		o, err := scribe.insist(ctx, func() history.Operation {
			return history.Operation{Session: id, Kind: history.Post, Key: key}
		}, func(ctx context.Context, o *history.Operation) error {
			logged, err := scribe.api.PostOnce(ctx, id, key, string(events.TranscriptFinal), payload)
			o.Body = string(logged.Raw)
			return err
		})
		if err != nil {
			return err
		}
		if o.Verdict != history.Done {
			return errors.New("what a service says is refused: " + o.Code)
		}
	}
	return nil
}

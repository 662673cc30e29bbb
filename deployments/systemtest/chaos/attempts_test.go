//go:build integration

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
)

const (
	attemptTime = 5 * time.Second // bounds one attempt
	minPause    = 50 * time.Millisecond
	maxPause    = time.Second
)

// patience bounds all attempts at one thing: longer than all that a schedule has at once, or than any replica is away that is only rolled.
func patience() time.Duration {
	if *kinds == string(schedule.Roll) {
		return 2 * attemptTime
	}
	return 2 * time.Minute
}

// errGivenUp: nobody has answered for longer than anything is broken.
var errGivenUp = errors.New("nobody has answered")

// user is one of the API's, who tries again. Each has connections of their own, and goes to another replica with each.
type user struct {
	w      *world
	name   string
	chance *rand.Rand
	api    *callplane.Client
}

func (w *world) user(name string, scopes ...string) *user {
	return &user{w: w, name: name, chance: w.chanceOf(name), api: callplane.NewVia(w.API.Base(), &http.Transport{}).As(name, scopes...)}
}

// chanceOf is what somebody draws by: the seed and their name.
func (w *world) chanceOf(name string) *rand.Rand {
	var number uint64
	for _, c := range name {
		number = number*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(*seed, number))
}

// try does something once, and takes down what came of it.
func (u *user) try(ctx context.Context, o history.Operation, do func(ctx context.Context, o *history.Operation) error) history.Operation {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	o.Client, o.Called = u.name, u.w.recorder.Now()
	err := do(ctx, &o)
	o.Returned = u.w.recorder.Now()
	var problem *callplane.Problem
	switch {
	case err == nil:
		o.Verdict = history.Done
	case errors.As(err, &problem) && !problem.Retryable:
		o.Verdict, o.Code = history.Refused, problem.Code
	default:
		o.Verdict, o.Code = history.Unknown, err.Error()
	}
	u.w.recorder.Operation(o)
	return o
}

// insist tries until there is an answer. next makes each attempt, so that one may ask for something else than the one before.
func (u *user) insist(
	ctx context.Context, next func() history.Operation, do func(ctx context.Context, o *history.Operation) error,
) (history.Operation, error) {
	began, pause := time.Now(), minPause
	for attempts := 1; ; attempts++ {
		o := u.try(ctx, next(), do)
		if o.Verdict != history.Unknown {
			u.w.recorder.Note(func(h *history.History) {
				h.Attempts, h.Longest = max(h.Attempts, attempts), max(h.Longest, time.Since(began))
			})
			return o, nil
		}
		if ctx.Err() != nil {
			return o, ctx.Err()
		}
		if time.Since(began) > patience() {
			u.w.recorder.Note(func(h *history.History) { h.Unanswered = append(h.Unanswered, o) })
			return o, fmt.Errorf("%s %s: %w for %s: %s", u.name, o.Kind, errGivenUp, patience(), o.Code)
		}
		rest(ctx, pause/2+time.Duration(u.chance.Int64N(int64(pause))))
		pause = min(2*pause, maxPause)
	}
}

// create makes a session until that is answered, at times once more.
func (u *user) create(ctx context.Context, setting history.Setting, n callplane.NewSession) (callplane.Session, error) {
	key := fmt.Sprintf("%s-%d", u.name, u.w.number())
	n.Metadata = map[string]any{"creation": key}
	n.Members = append(n.Members, callplane.Member{UserID: watcher, Role: "viewer"})
	if n.Title == "" {
		n.Title = key
	}
	var made callplane.Session
	do := func(ctx context.Context, o *history.Operation) error {
		session, _, err := u.api.CreateOnce(ctx, key, n)
		if err != nil {
			return err
		}
		made, o.Session, o.View = session, session.SessionID, history.ViewOf(session)
		encoded, err := json.Marshal(session)
		o.Body = string(encoded) + session.ETag + session.Location
		return err
	}
	for again := true; again; again = u.chance.IntN(4) == 0 {
		o, err := u.insist(ctx, func() history.Operation { return history.Operation{Kind: history.Create, Key: key} }, do)
		if err != nil {
			return made, err
		}
		if o.Verdict != history.Done {
			return made, fmt.Errorf("%s may not make a session: %s", u.name, o.Code)
		}
	}
	u.w.recorder.Made(made.SessionID, u.name, setting)
	return made, nil
}

// get reads a session once.
func (u *user) get(ctx context.Context, id string) (callplane.Session, bool) {
	var read callplane.Session
	o := u.try(ctx, history.Operation{Session: id, Kind: history.Get}, func(ctx context.Context, o *history.Operation) error {
		var err error
		if read, err = u.api.Get(ctx, id); err == nil {
			o.View = history.ViewOf(read)
		}
		return err
	})
	return read, o.Verdict == history.Done
}

// change changes a session until that is answered. A number or title is another with each attempt: whether an earlier one was done is open.
func (u *user) change(ctx context.Context, id string, next func() (history.Change, map[string]any)) (history.Operation, error) {
	var wanted map[string]any
	return u.insist(ctx, func() history.Operation {
		o := history.Operation{Session: id, Kind: history.Patch}
		o.Change, wanted = next()
		return o
	}, func(ctx context.Context, o *history.Operation) error {
		ifMatch := ""
		if o.Change.IfMatch != 0 {
			ifMatch = fmt.Sprintf("%q", fmt.Sprint(o.Change.IfMatch))
		}
		session, err := u.api.Update(ctx, id, ifMatch, wanted)
		if err == nil {
			o.View = history.ViewOf(session)
		}
		return err
	})
}

// rest waits a while, as whoever asks does.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

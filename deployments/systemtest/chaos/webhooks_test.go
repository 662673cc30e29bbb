//go:build integration

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/replay"
)

const (
	lines        = 2                      // calls that are simulated at the same time
	webhookPause = 400 * time.Millisecond // at most
)

// recordings are the calls whose webhooks are sent.
var recordings = []string{"clean", "remove", "empty", "delete"}

// simulate sends webhooks of calls that LiveKit knows nothing of, one call after the other: repeated, and at times in another order. What they
// tell and what LiveKit lists contradict each other, and the calls end where LiveKit is: nobody is there.
func (w *world) simulate(t *testing.T, line int) {
	for w.active() {
		if err := w.simulateOne(t.Context(), line); err != nil {
			t.Errorf("line %d: %v", line, err)
			return
		}
	}
}

func (w *world) simulateOne(ctx context.Context, line int) error {
	alice := w.user(fmt.Sprintf("line-%d-%d", line, w.number()))
	defer alice.api.Close()
	bob := alice.name + "-bob"
	session, err := alice.create(ctx, history.Replayed, callplane.NewSession{Kind: "audio", Members: []callplane.Member{{UserID: bob, Role: "participant"}}})
	if err != nil {
		return err
	}
	w.follow(alice.name, session.SessionID)
	recording, err := replay.Load(recordings[alice.chance.IntN(len(recordings))])
	if err != nil {
		return err
	}
	room, identities := "", map[string]string{}
	for person, name := range map[string]string{"alice": alice.name, "bob": bob} {
		token, err := w.token(ctx, name, session.SessionID)
		if err != nil {
			return err
		}
		room, identities[person] = token.RoomName, token.Identity
	}
	webhooks := recording.For(room, identities, fmt.Sprint("x", w.number()))
	for n := range webhooks {
		if n > 0 && alice.chance.IntN(8) == 0 { // A swap of two that follow each other.
			webhooks[n], webhooks[n-1] = webhooks[n-1], webhooks[n]
		}
	}
	for _, body := range webhooks {
		for again := true; again; again = alice.chance.IntN(5) == 0 {
			if err := w.sendUntilTaken(ctx, alice, body); err != nil {
				return err
			}
		}
		rest(ctx, time.Duration(alice.chance.Int64N(int64(webhookPause))))
	}
	return nil
}

// sendUntilTaken sends a webhook until it is answered 200.
func (w *world) sendUntilTaken(ctx context.Context, u *user, body []byte) error {
	for began := time.Now(); ; {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		answer, err := w.SendWebhook(attempt, body)
		cancel()
		switch {
		case err == nil && answer.Status == http.StatusOK:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && answer.Status < http.StatusInternalServerError:
			return fmt.Errorf("a webhook is refused: %d %s", answer.Status, answer.Body)
		case time.Since(began) > patience():
			return fmt.Errorf("%w a webhook: %d %w", errGivenUp, answer.Status, err)
		}
		rest(ctx, minPause+time.Duration(u.chance.Int64N(int64(maxPause))))
	}
}

// token asks for a token until there is one.
func (w *world) token(ctx context.Context, user, session string) (callplane.Token, error) {
	api := callplane.NewVia(w.API.Base(), &http.Transport{DisableKeepAlives: true}).As(user)
	for began := time.Now(); ; {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		token, err := api.Token(attempt, session, callplane.TokenRequest{TTLSeconds: 3600})
		cancel()
		var problem *callplane.Problem
		switch {
		case err == nil:
			return token, nil
		case ctx.Err() != nil:
			return token, ctx.Err()
		case errors.As(err, &problem) && !problem.Retryable:
			return token, err
		case time.Since(began) > patience():
			return token, fmt.Errorf("%w for a token: %w", errGivenUp, err)
		}
		rest(ctx, minPause)
	}
}

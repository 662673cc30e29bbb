package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
)

const (
	alice, bob = "alice", "bob"
	// audible is how many audio packets a participant has got who hears the other.
	audible = 10
)

// demo is one call of two people.
type demo struct {
	settings settings
	line     *timeline
	api      *callplane.Client
	rooms    *lksdk.RoomServiceClient

	session  callplane.Session
	follower *follower
	callers  map[string]*caller.Caller
}

func newDemo(s settings, line *timeline) *demo {
	return &demo{
		settings: s, line: line, api: callplane.New(s.api()),
		rooms:   lksdk.NewRoomServiceClient(s.liveKit(), s.LiveKitKey, s.LiveKitSecret),
		callers: map[string]*caller.Caller{},
	}
}

// play has the call and checks it; the error says what was expected and what came.
func (d *demo) play(ctx context.Context) error {
	defer d.hangUp()
	if err := d.create(ctx); err != nil {
		return err
	}
	following, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { d.follower.run(following) })
	defer reading.Wait()
	defer stop()

	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return d.follower.await(ctx, events.CallCreated, "") },
		func(ctx context.Context) error { return d.expectStatus(ctx, events.StatusCreated) },
		func(ctx context.Context) error { return d.join(ctx, alice) },
		func(ctx context.Context) error { return d.expectStatus(ctx, events.StatusActive) },
		func(ctx context.Context) error { return d.join(ctx, bob) },
		func(ctx context.Context) error { return d.hears(ctx, bob, alice) },
		func(ctx context.Context) error { return d.hears(ctx, alice, bob) },
		d.bobLeaves,
		d.aliceEnds,
		d.roomGone,
		d.checkSession,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	// One last look, now that nothing can come any more: whatever is in the log twice or too much is there by now.
	stop()
	reading.Wait()
	if err := d.follower.read(ctx); err != nil {
		return err
	}
	return d.checkLog()
}

// create makes the session with alice as its owner and bob as a member.
func (d *demo) create(ctx context.Context) error {
	d.line.header("A call of alice and bob on " + d.settings.api())
	d.line.action("create", "alice creates a session with bob in it")
	session, err := d.api.As(alice).Create(ctx, callplane.NewSession{
		Title: "Demo call", Kind: "audio", Members: []callplane.Member{{UserID: bob, Role: "participant"}},
	})
	if err != nil {
		return fmt.Errorf("creating a session: %w", err)
	}
	d.session = session
	d.follower = newFollower(d.api.As(alice), session.SessionID, func(s seen) {
		cause, text := causeOf(s)
		d.line.event(s.Event, s.facts, cause, text)
	})
	return nil
}

// join lets the user into the call by a token of the API, and publish audio.
func (d *demo) join(ctx context.Context, user string) error {
	d.line.action("", user+" asks for a token")
	token, err := d.api.As(user).Token(ctx, d.session.SessionID, callplane.TokenRequest{DisplayName: user})
	if err != nil {
		return fmt.Errorf("getting a token for %s: %w", user, err)
	}
	d.line.action("join "+user, user+" joins")
	c, err := caller.Join(ctx, token.URL, token.Token)
	if err != nil {
		return fmt.Errorf("letting %s join: %w", user, err)
	}
	d.callers[user] = c
	if err := d.follower.await(ctx, events.CallParticipantJoined, user); err != nil {
		return err
	}
	d.line.action("publish "+user, user+" publishes audio")
	if _, err := c.PublishAudio(ctx); err != nil {
		return err
	}
	return d.follower.await(ctx, events.CallTrackPublished, user)
}

// hears waits until audio of the one reaches the other.
func (d *demo) hears(ctx context.Context, listener, speaker string) error {
	c := d.callers[listener]
	for begun := time.Now(); c.Heard() < audible; {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("waiting for %s to hear %s: %w", listener, speaker, err)
		}
		if time.Since(begun) > patience {
			return &unexpected{
				expected: fmt.Sprintf("%s to hear %s", listener, speaker),
				came:     fmt.Sprintf("%d audio packets within %s", c.Heard(), patience),
			}
		}
	}
	d.line.note(listener + " hears " + speaker)
	return nil
}

func (d *demo) bobLeaves(ctx context.Context) error {
	d.line.action("leave "+bob, "bob leaves")
	d.callers[bob].Leave()
	return d.follower.await(ctx, events.CallParticipantLeft, bob)
}

// aliceEnds ends the call at the API; LiveKit then has to put her out of the room and finish it.
func (d *demo) aliceEnds(ctx context.Context) error {
	d.line.action("end", "alice ends the call")
	_, err := d.api.As(alice).Update(ctx, d.session.SessionID, "", map[string]any{"status": string(events.StatusEnded)})
	if err != nil {
		return fmt.Errorf("ending the call: %w", err)
	}
	for _, t := range []events.Type{events.CallEnded, events.CallDisconnected} {
		if err := d.follower.await(ctx, t, ""); err != nil {
			return err
		}
	}
	select {
	case <-d.callers[alice].Gone():
		d.line.note("alice's client was told " + d.callers[alice].Reason())
		return nil
	case <-time.After(patience):
		return &unexpected{expected: "alice's client to be put out of the room", came: "it is still connected after " + patience.String()}
	case <-ctx.Done():
		return fmt.Errorf("waiting for alice's client to be put out: %w", ctx.Err())
	}
}

// hangUp lets everybody leave who is still there.
func (d *demo) hangUp() {
	for _, c := range d.callers {
		c.Leave()
	}
}

// cleanUp ends a call that went wrong, so that it doesn't stay behind in LiveKit.
func (d *demo) cleanUp(ctx context.Context) {
	if d.session.SessionID == "" {
		return
	}
	// The failure is told already; a session that is final by now or an API that is away adds nothing to it.
	_, _ = d.api.As(alice).Update(ctx, d.session.SessionID, "", map[string]any{"status": string(events.StatusEnded)})
}

// causeOf says which action of ours led to an event, and how the timeline calls it.
func causeOf(s seen) (cause, text string) {
	user := s.facts.UserID
	switch s.Type {
	case events.CallCreated:
		return "create", "POST"
	case events.CallConnecting:
		return "join " + alice, "alice joining"
	case events.CallConnected, events.CallParticipantJoined:
		return "join " + user, user + " joining"
	case events.CallTrackPublished:
		return "publish " + user, user + " publishing"
	case events.CallTrackUnpublished, events.CallParticipantLeft:
		if user == bob {
			return "leave " + bob, "bob leaving"
		}
		return "end", "PATCH"
	case events.CallUpdated, events.CallEnded, events.CallDisconnected:
		return "end", "PATCH"
	default:
		return "", ""
	}
}

// pause waits one poll interval, less when ctx ends.
func pause(ctx context.Context) error {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), context.Cause(ctx))
	}
}

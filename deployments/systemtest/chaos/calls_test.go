//go:build integration

package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

const (
	calls     = 2                       // that people have at the same time
	callPause = 2500 * time.Millisecond // at most, between what happens in one
	callActs  = 40                      // at most, until one is over
	thaw      = 24 * time.Second        // at most, after somebody is frozen
	lull      = 15 * time.Second        // longer than somebody lost is waited for, with time to list before and after
	agreement = 90 * time.Second        // until a session and LiveKit agree, and until a call is over that everybody has left
)

// converse has people in calls, one after the other, until everything is up again; then the last is held to LiveKit and all leave.
func (w *world) converse(t *testing.T, line int) {
	for w.active() {
		c := w.newCall(t, line)
		if c == nil {
			return
		}
		c.happen()
		c.settle()
	}
}

// call is one session in which anything happens.
type call struct {
	*testing.T

	w       *world
	id      string
	owner   *user
	guest   string
	chance  *rand.Rand
	tokens  map[string]callplane.Token
	people  map[string]*caller.Process // who is on the line, as far as is known
	clients []*caller.Process          // that ever were
}

// newCall makes a session with tokens for two people; nil where that failed, which the test knows.
func (w *world) newCall(t *testing.T, line int) *call {
	t.Helper()
	owner := w.user(fmt.Sprintf("call-%d-%d", line, w.number()))
	c := &call{
		T: t, w: w, owner: owner, guest: owner.name + "-guest", chance: owner.chance,
		tokens: map[string]callplane.Token{}, people: map[string]*caller.Process{},
	}
	t.Cleanup(owner.api.Close)
	session, err := owner.create(t.Context(), history.Called, callplane.NewSession{
		Kind: "audio", Members: []callplane.Member{{UserID: c.guest, Role: "participant"}},
	})
	if err != nil {
		t.Errorf("making a call: %v", err)
		return nil
	}
	c.id = session.SessionID
	w.follow(owner.name, c.id)
	var identities []string
	for _, name := range []string{owner.name, c.guest} {
		token, err := w.token(t.Context(), name, c.id)
		if err != nil {
			t.Errorf("asking for a token: %v", err)
			return nil
		}
		c.tokens[name] = token
		identities = append(identities, token.Identity)
	}
	w.identities.Store(roomPrefix+c.id, identities)
	w.Webhooks.Treat(roomPrefix+c.id, c.anyFate())
	return c
}

// anyFate loses, delays, refuses and doubles webhooks by chance.
func (c *call) anyFate() func(stack.Webhook) stack.Fate {
	fates := []stack.Fate{stack.Pass, stack.Pass, stack.Pass, stack.Lose, stack.Lose, stack.Refuse, stack.Delay, stack.Twice}
	chance := rand.New(rand.NewPCG(c.chance.Uint64(), 0))
	var mu sync.Mutex
	return func(stack.Webhook) stack.Fate {
		mu.Lock()
		defer mu.Unlock()
		return fates[chance.IntN(len(fates))]
	}
}

// happen lets things happen for a while, or until the call is over, as the API shows it, or everything is up again.
func (c *call) happen() {
	users := slices.Sorted(maps.Keys(c.tokens))
	for acts := 1 + c.chance.IntN(callActs); c.w.active() && acts > 0; acts-- {
		c.befall(users[c.chance.IntN(len(users))])
		c.pause(time.Duration(c.chance.Int64N(int64(callPause))))
		if read, ok := c.owner.get(c.Context(), c.id); ok && read.EndedAt != nil {
			return
		}
	}
}

// pause waits, though not longer than anything is broken.
func (c *call) pause(d time.Duration) {
	c.Helper()
	select {
	case <-time.After(d):
	case <-c.w.over:
	case <-c.Context().Done():
		c.Fatal(c.Context().Err())
	}
}

// befall has something happen to somebody. Where servers are being broken it may not happen.
func (c *call) befall(user string) {
	p := c.people[user]
	if p == nil || p.Over() {
		c.comes(user)
		return
	}
	switch c.chance.IntN(13) {
	case 0:
		p.TryLeave(c)
	case 1:
		p.Kill(c)
	case 2:
		p.Freeze(c)
		c.pause(time.Duration(c.chance.Int64N(int64(thaw))))
		p.Thaw(c)
	case 3, 4, 5, 6:
		c.comes(user) // in place of the one who is there
	case 7:
		p.Migrate(c)
	case 8:
		ctx, cancel := context.WithTimeout(c.Context(), listTimeout)
		defer cancel()
		_, _ = c.w.Rooms.RemoveParticipant(ctx, &livekit.RoomParticipantIdentity{Room: roomPrefix + c.id, Identity: p.Identity()})
	case 9, 10:
		c.returnsUnseen(user, p.Identity())
	case 11:
		c.changeMembers()
	default:
		_ = p.TryPublish(c) // They may be put out before.
	}
}

func (c *call) comes(user string) {
	p, err := c.w.TryJoin(c, c.tokens[user])
	if err != nil {
		return // The room is being deleted at this moment, LiveKit is away, or somebody put them out.
	}
	c.people[user] = p
	c.clients = append(c.clients, p)
	if c.chance.IntN(3) > 0 {
		_ = p.TryPublish(c)
	}
}

// returnsUnseen puts somebody in the place of their own connection, of which the bridge hears only that the earlier one has ended: they count
// as lost, though they are there, until it asks LiveKit.
func (c *call) returnsUnseen(user, identity string) {
	c.w.Webhooks.Treat(roomPrefix+c.id, func(h stack.Webhook) stack.Fate {
		if h.Identity == identity && h.Event != webhook.EventParticipantLeft {
			return stack.Lose
		}
		return stack.Pass
	})
	c.comes(user)
	c.pause(lull)
	c.w.Webhooks.Treat(roomPrefix+c.id, c.anyFate())
}

//go:build integration

package chaos

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// How calls end, and what is recorded of them.

// changeMembers has the owner remove the guest, who may be in the call and keeps a token, or make
// them a member again with a new token. While servers are broken it may not happen.
func (c *call) changeMembers() {
	ctx, cancel := context.WithTimeout(c.Context(), attemptTime)
	defer cancel()
	session, err := c.owner.api.Get(ctx, c.id)
	if err != nil {
		return
	}
	if isMember(session, c.guest) {
		_ = c.owner.api.RemoveMember(ctx, c.id, c.guest)
		return
	}
	if _, err := c.owner.api.SetMember(ctx, c.id, callplane.Member{UserID: c.guest, Role: "participant"}); err != nil {
		return
	}
	if token, err := c.w.API.As(c.guest).Token(ctx, c.id, callplane.TokenRequest{TTLSeconds: 3600}); err == nil {
		c.tokens[c.guest] = token
	}
}

func isMember(session callplane.Session, user string) bool {
	return slices.ContainsFunc(session.Members, func(m callplane.Member) bool { return m.UserID == user })
}

// settle holds the session to the clients in its room, when everything is up again and webhooks
// pass, and has all leave. While servers are broken its owner may end it with people in it: they
// are put out, as those are who are in a call that has ended by itself.
func (c *call) settle() {
	c.w.Webhooks.Treat(roomPrefix+c.id, stack.Always(stack.Pass))
	read, _ := c.owner.get(c.Context(), c.id)
	switch {
	case !c.w.active(), read.EndedAt != nil:
		c.agree()
		c.Logf("%s: session %s and its clients agree, or never will", at(c.w), c.id)
	case c.chance.IntN(2) == 0:
		if _, err := c.owner.change(c.Context(), c.id, status("ended")); err != nil {
			c.Errorf("ending a call: %v", err)
		}
		if c.chance.IntN(2) == 0 {
			c.agree()
		}
	}
	for _, p := range c.people {
		if !p.Over() {
			p.TryLeave(c)
		}
	}
	c.Logf("%s: all have left session %s", at(c.w), c.id)
	c.w.recorder.Note(func(h *history.History) {
		for _, p := range c.clients {
			client := history.Client{Session: c.id, Identity: p.Identity()}
			for _, stay := range p.Stays() {
				client.Stays = append(client.Stays, history.Stay(stay))
			}
			h.Clients = append(h.Clients, client)
		}
	})
}

// agree waits until the session shows the clients in its room, none where it is over, and records
// that, or how it is after a long wait.
func (c *call) agree() {
	c.Helper()
	for began := time.Now(); ; c.w.until(c.T, time.Now().Add(listEvery)) {
		m, ok := c.moment()
		if !ok {
			continue
		}
		agrees := slices.Equal(slices.Sorted(maps.Keys(m.Shown)), slices.Sorted(maps.Keys(m.Present))) && len(m.Barred) == 0
		if m.Final {
			agrees = len(m.Present) == 0 // Who left is shown when LiveKit has told or listed it.
		}
		if agrees || time.Since(began) > agreement || *wrong != "" && time.Since(began) > 2*impatience {
			c.w.recorder.Note(func(h *history.History) { h.Moments = append(h.Moments, m) })
			return
		}
	}
}

// moment is the session beside its room as they are now; false where they can't be read.
func (c *call) moment() (m history.Moment, ok bool) {
	read, ok := c.owner.get(c.Context(), c.id)
	if !ok {
		return m, false
	}
	m = history.Moment{Session: c.id, Final: read.EndedAt != nil, Shown: map[string]string{}, Present: c.present()}
	if listing, err := c.w.list(c.Context()); err == nil {
		m.Listed = listing.Rooms[c.id]
	}
	for _, p := range read.Participants {
		if p.Status != "left" {
			m.Shown[p.Identity] = p.Status
		}
	}
	if _, there := m.Present[c.tokens[c.guest].Identity]; there && !isMember(read, c.guest) {
		m.Barred = append(m.Barred, c.tokens[c.guest].Identity)
	}
	return m, true
}

// present lists the clients that are in the room by their own word: the connection of each by
// identity.
func (c *call) present() map[string]string {
	there := map[string]string{}
	for _, p := range c.clients {
		stays := p.Stays()
		if last := len(stays) - 1; last >= 0 && time.Since(stays[last].To) < caller.Silence {
			there[p.Identity()] = stays[last].SID
		}
	}
	return there
}

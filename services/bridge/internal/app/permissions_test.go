package app_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// provider writes down what it is told of participants, and fails as often as it is told to. Where
// it has a gate, it answers when that opens.
type provider struct {
	mu      sync.Mutex
	failing int
	told    []string
	gate    chan struct{}
	entered chan struct{}
}

func (p *provider) tell(ctx context.Context, what string) error {
	if p.gate != nil {
		p.entered <- struct{}{}
		select {
		case <-p.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failing > 0 {
		p.failing--
		return errors.Join(errors.New("away"), ports.ErrUnavailable)
	}
	p.told = append(p.told, what)
	return nil
}

func (p *provider) Remove(ctx context.Context, room, identity string) error {
	return p.tell(ctx, "remove "+identity+" from "+room)
}

func (p *provider) SetRole(ctx context.Context, room string, s domain.DesiredPermission) error {
	return p.tell(ctx, s.Identity+" is "+string(s.Role)+" in "+room)
}

func (*provider) Ask(context.Context, string, string) (domain.Answer, error) {
	return domain.Answer{Kind: domain.NotFound}, nil
}

func (p *provider) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.told...)
}

func (b *bench) enforcer(p *provider, poll time.Duration) *app.SyncPermissions {
	return &app.SyncPermissions{List: b.store, Participants: p, Media: &media{}, Tally: b.tally, Log: slog.New(slog.DiscardHandler), Poll: poll}
}

func (b *bench) remove(user string, version int64) {
	b.t.Helper()
	require.NoError(b.t, b.follow(events.CallMemberRemovedPayload{UserID: user, SessionVersion: version}))
}

var room = domain.RoomName(session)

func TestTheProviderIsToldOfRolesAndRemovals(t *testing.T) {
	b, p := setup(t), &provider{}
	_, err := b.token(nil)
	require.NoError(t, err)
	b.tally.take()
	e := b.enforcer(p, time.Hour)
	b.nudges.Enforce = e.Wake
	run(t, e.Run)
	require.NoError(t, b.follow(events.CallMemberUpdatedPayload{UserID: "alice", Role: events.RoleViewer, SessionVersion: 2}))
	require.Eventually(t, func() bool { return len(p.heard()) == 1 }, 10*time.Second, time.Millisecond)
	b.remove("alice", 3)
	b.remove("alice", 3)
	require.Eventually(t, func() bool { return len(p.heard()) == 2 }, 10*time.Second, time.Millisecond)
	require.Equal(t, []string{"alice#default is viewer in " + room, "remove alice#default from " + room}, p.heard())

	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	require.Eventually(t, func() bool { return len(p.heard()) == 3 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "remove alice#default from "+room, p.heard()[2], "a leftover token")
	require.Equal(t, domain.Absent, b.state().Participants["alice#default"].Presence)
}

func TestTheProviderIsToldUntilItHasHeard(t *testing.T) {
	b, p := setup(t), &provider{failing: 2}
	_, err := b.token(nil)
	require.NoError(t, err)
	b.remove("alice", 2)
	b.tally.take()
	run(t, b.enforcer(p, 20*time.Millisecond).Run)
	require.Eventually(t, func() bool { return len(p.heard()) == 1 }, 30*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		_, waiting, err := b.store.NextPermissionSync(t.Context())
		return err == nil && !waiting
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"enforcement:removal:postponed", "enforcement:removal:postponed", "enforcement:removal:done"}, b.tally.take())
}

func TestAListOfParticipantsThatCannotBeReadIsReadLater(t *testing.T) {
	b, p := setup(t), &provider{}
	_, err := b.token(nil)
	require.NoError(t, err)
	b.remove("alice", 2)
	b.store.Fail(unavailable())
	e := b.enforcer(p, 10*time.Millisecond)
	require.ErrorIs(t, e.Due(t.Context()), ports.ErrUnavailable)
	run(t, e.Run)
	b.store.Fail(nil)
	require.Eventually(t, func() bool { return len(p.heard()) == 1 }, 10*time.Second, time.Millisecond)
}

// TestAnOldRemovalNeverHitsANewInvitation stops a removal in the middle of its call to the
// provider, and invites the member again.
func TestAnOldRemovalNeverHitsANewInvitation(t *testing.T) {
	b, p := setup(t), &provider{gate: make(chan struct{}), entered: make(chan struct{}, 8)}
	_, err := b.token(nil)
	require.NoError(t, err)
	b.remove("alice", 2)
	run(t, b.enforcer(p, 10*time.Millisecond).Run)
	<-p.entered

	invited := func(c *commands.TokenIssue) { c.SessionVersion = 3 }
	_, err = b.token(invited)
	failure := failureOf(t, err)
	require.Equal(t, commands.Unavailable, failure.Code)
	require.True(t, failure.Retryable)
	require.NoError(t, b.follow(events.CallMemberAddedPayload{UserID: "alice", Role: events.RoleHost, SessionVersion: 3}))
	_, err = b.token(invited)
	require.Equal(t, commands.Unavailable, failureOf(t, err).Code)

	close(p.gate)
	require.Eventually(t, func() bool {
		_, err = b.token(invited)
		return err == nil
	}, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool {
		_, waiting, err := b.store.NextPermissionSync(t.Context())
		return err == nil && !waiting
	}, 10*time.Second, time.Millisecond)
	b.remove("alice", 2)
	require.Equal(t, []string{"remove alice#default from " + room, "alice#default is host in " + room}, p.heard(), "and no removal after the token")
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	require.Equal(t, domain.Present, b.state().Participants["alice#default"].Presence)
}

// TestARemovalThatWasNotBegunIsForgotten invites the member again while the provider can't be
// reached.
func TestARemovalThatWasNotBegunIsForgotten(t *testing.T) {
	b, p := setup(t), &provider{failing: 1}
	_, err := b.token(nil)
	require.NoError(t, err)
	b.remove("alice", 2)
	e := b.enforcer(p, time.Hour)
	require.NoError(t, e.Due(t.Context()))
	require.NoError(t, b.follow(events.CallMemberAddedPayload{UserID: "alice", Role: events.RoleViewer, SessionVersion: 3}))
	_, err = b.token(func(c *commands.TokenIssue) { c.SessionVersion, c.Role = 3, events.RoleViewer })
	require.NoError(t, err)
	require.NoError(t, e.Due(t.Context()))
	require.Equal(t, []string{"alice#default is viewer in " + room}, p.heard())
	_, err = b.token(func(c *commands.TokenIssue) { c.SessionVersion = 1 })
	require.NoError(t, err, "an older command gets what is known")
	require.Equal(t, events.RoleViewer, b.tokens.granted[len(b.tokens.granted)-1].Grant.Role)
}

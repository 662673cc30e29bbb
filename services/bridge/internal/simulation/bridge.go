package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/adapters/memory"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var policy = domain.Policy{Grace: grace, DepartureTimeout: departureTimeout, EmptyTimeout: emptyTimeout}

// poll is the longest pause between two looks at a list of work.
const poll = 5 * time.Second

// bridge is the use cases of one or more replicas, on a store in memory. It is the store as well,
// and passes on what they store.
type bridge struct {
	*memory.Store

	media    *Provider
	tally    ports.Tally
	stored   func(c ports.Change)
	replicas int

	mu      sync.Mutex // so that changes are passed on in their order
	nudges  ports.Nudges
	running sync.WaitGroup
	stop    context.CancelFunc // nil while the bridge is stopped
	away    bool               // the store is
}

func newBridge(media *Provider, tally ports.Tally, replicas int, stored func(c ports.Change)) *bridge {
	return &bridge{Store: memory.NewStore(time.Now), media: media, tally: tally, stored: stored, replicas: replicas}
}

// start starts the replicas, with an empty memory, unless they run. The first one takes webhooks
// and events.
func (b *bridge) start(parent context.Context) {
	if !b.stopped() {
		return
	}
	ctx, stop := context.WithCancel(parent)
	b.stop = stop
	for n := range b.replicas {
		nudges := b.replica(ctx, fmt.Sprint(n))
		if n == 0 {
			b.nudges = nudges
		}
	}
}

// replica starts what one replica does in the background, and returns what wakes it.
func (b *bridge) replica(ctx context.Context, name string) ports.Nudges {
	p, log, bell := b.media, slog.New(slog.DiscardHandler), &app.Bell{}
	deletions := &app.DeleteRooms{Deletions: b, Rooms: p, Media: p, Participants: p, Reader: b, Tally: b.tally, Log: log, Poll: poll}
	permissions := &app.SyncPermissions{List: b, Participants: p, Media: p, Tally: b.tally, Log: log, Poll: poll}
	nudges := ports.Nudges{DeleteRooms: deletions.Wake, Enforce: permissions.Wake, Expire: bell.Wake}
	inspect := app.Inspect{Mappings: b, Participants: p, Tally: b.tally, Nudges: nudges, Now: time.Now, Policy: policy}
	checks := &app.CheckRooms{Bell: bell, List: b, Reader: b, Media: p, Inspect: inspect, Tally: b.tally, Log: log, Poll: poll}
	reconcile := &app.Reconcile{
		Lease: b, Survey: b, Mappings: b, Media: p, Inspect: inspect, Tally: b.tally, Nudges: nudges, Log: log,
		Holder: name, Interval: interval, Liveness: liveness,
	}
	for _, run := range []func(ctx context.Context){deletions.Run, permissions.Run, checks.Run, reconcile.Run} {
		b.running.Go(func() { run(ctx) })
	}
	return nudges
}

// halt stops the replicas, unless they are stopped.
func (b *bridge) halt() {
	if b.stopped() {
		return
	}
	b.stop()
	b.running.Wait()
	b.stop = nil
}

func (b *bridge) stopped() bool { return b.stop == nil }

// toggle begins an outage of the store, or ends it.
func (b *bridge) toggle() {
	b.away = !b.away
	if b.away {
		b.Fail(fmt.Errorf("the store is away: %w", ports.ErrUnavailable))
		return
	}
	b.Fail(nil)
}

// hear takes a webhook in.
func (b *bridge) hear(ctx context.Context, hook ports.Webhook) error {
	if b.stopped() {
		return ports.ErrUnavailable
	}
	return app.HandleWebhook{Mappings: b, Tally: b.tally, Nudges: b.nudges, Now: time.Now, Policy: policy}.Do(ctx, hook)
}

// follow takes an event of the sessions service in.
func (b *bridge) follow(ctx context.Context, e events.Envelope) error {
	return app.ApplySessionEvent{Mappings: b, Tally: b.tally, Nudges: b.nudges}.Do(ctx, e)
}

// token gives a member a token, as the sessions service asks for it.
func (b *bridge) token(ctx context.Context, c *call, user, device string, role events.Role, version int64) error {
	_, err := app.IssueToken{Mappings: b, Tokens: c, Tally: b.tally, Nudges: b.nudges}.Do(ctx, commands.TokenIssue{
		CommandID: uuid.NewString(), SessionID: c.id, SessionVersion: version, UserID: user, DeviceID: &device, Role: role,
		TTLSeconds: int(app.MaxTTL.Seconds()), Kind: events.KindVideo, IssuedAt: events.At(time.Now()),
	})
	return err
}

// presence says whether anybody is in a call, as the sessions service asks for it.
func (b *bridge) presence(ctx context.Context, c *call, version int64) (commands.CallPresenceShown, error) {
	show := app.ShowPresence{Rooms: b.media, Participants: b.media, Mappings: b, Tally: b.tally}
	return show.Do(ctx, commands.CallPresence{CommandID: uuid.NewString(), SessionID: c.id, SessionVersion: version})
}

// mapping returns the mapping of a session as it is stored.
func (b *bridge) mapping(ctx context.Context, sessionID string) domain.Mapping {
	m, known, err := b.Find(ctx, sessionID)
	if err != nil || !known {
		return domain.New(sessionID)
	}
	return m
}

// ChangeSession implements ports.Mappings.
func (b *bridge) ChangeSession(ctx context.Context, sessionID string, decide ports.Decide) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var change ports.Change
	err := b.Store.ChangeSession(ctx, sessionID, func(m domain.Mapping) (c ports.Change, err error) {
		change, err = decide(m)
		return change, err
	})
	if err == nil {
		b.stored(change)
	}
	return err
}

// Receive implements ports.Mappings.
func (b *bridge) Receive(ctx context.Context, receipt ports.Receipt, decide ports.Decide) (ports.Reception, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var change ports.Change
	reception, err := b.Store.Receive(ctx, receipt, func(m domain.Mapping) (c ports.Change, err error) {
		change, err = decide(m)
		return change, err
	})
	if err == nil && reception == ports.Stored {
		b.stored(change)
	}
	return reception, err
}

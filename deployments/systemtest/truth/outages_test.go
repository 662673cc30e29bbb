//go:build integration

package truth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// The servers that may be away, by the names that /readyz has for the last two.
const (
	database = "postgres"
	broker   = "rabbitmq"
	media    = "livekit"
)

// server is what a test needs of one.
type server interface {
	Kill(t testing.TB)
	Start(t testing.TB)
}

// outages is a stack whose servers are killed, each for itself.
type outages struct {
	*stack.Stack

	servers map[string]server
}

// outage is servers going and coming back.
type outage struct {
	away    []string // in the order in which they go
	started []string // the services that are killed and started again meanwhile, in this order
	back    []string // in this order
}

const (
	sessions = "sessions"
	bridge   = "bridge"
)

// TestTwoServersAway kills every two of the servers in a call. Meanwhile a service or both are killed and started again, so that they start
// without what is away, and somebody hangs up.
func TestTwoServersAway(t *testing.T) {
	t.Parallel()
	newOutages(t).pass(t,
		outage{away: []string{database, broker}, started: []string{bridge}, back: []string{broker, database}},
		outage{away: []string{broker, media}, started: []string{sessions, bridge}, back: []string{media, broker}},
		outage{away: []string{media, database}, started: []string{sessions}, back: []string{database, media}},
	)
}

// TestAllServersAway is the same with all three, which come back in another order each time.
func TestAllServersAway(t *testing.T) {
	t.Parallel()
	newOutages(t).pass(t,
		outage{away: []string{database, broker, media}, started: []string{bridge, sessions}, back: []string{database, media, broker}},
		outage{away: []string{media, broker, database}, started: []string{sessions, bridge}, back: []string{broker, database, media}},
		outage{away: []string{broker, media, database}, back: []string{media, broker, database}},
	)
}

func newOutages(t *testing.T) outages {
	t.Helper()
	var o outages
	o.Stack = start(t, func() *stack.Stack {
		postgres := testkit.OwnPostgres(t)
		s := stack.Prepare(t, testkit.OwnRabbit(t), stack.OnPostgres(postgres), quick(15*time.Second, nil))
		o.servers = map[string]server{database: postgres, broker: s.Vhost.Broker, media: s.LiveKit}
		return s
	})
	return o
}

func (o outages) pass(t *testing.T, all ...outage) {
	t.Helper()
	for _, one := range all {
		t.Run(strings.Join(one.away, ", "), func(t *testing.T) { o.without(t, one) })
	}
}

// without goes through one outage with a call that goes on.
func (o outages) without(t *testing.T, one outage) {
	c := newCall(t, o.Stack)
	people := c.join(alice, bob)
	for _, name := range one.away {
		o.servers[name].Kill(t)
	}
	services := map[string]*stack.Process{sessions: o.Sessions, bridge: o.Bridge}
	for _, name := range one.started {
		services[name].Kill(t)
		services[name].Start(t)
	}
	o.awaitWithout(t, one.away)
	o.serves(c, one.away)
	people[1].TryLeave(t)
	for _, name := range one.back {
		o.servers[name].Start(t)
	}
	o.AwaitReady(t)
	if !slices.Contains(one.away, media) {
		c.is("active", shown(alice, "present", bob, "left"), then(opens(alice, bob), wentMeanwhile(bob, nil)))
	}
	m := &muddle{
		call: c, chance: rand.New(rand.NewPCG(1, 1)),
		people: map[string]*caller.Process{alice: people[0], bob: people[1]},
		tokens: map[string]callplane.Token{alice: o.Token(t, c.id, alice), bob: o.Token(t, c.id, bob)},
	}
	m.settle()
}

// awaitWithout waits until both services say what is away: not ready without the database, ready and degraded without anything else.
func (o outages) awaitWithout(t *testing.T, away []string) {
	t.Helper()
	for _, p := range []*stack.Process{o.Sessions, o.Bridge} {
		wanted := slices.DeleteFunc(slices.Clone(away), func(name string) bool { return name == database || name == media && p == o.Sessions })
		slices.Sort(wanted)
		status := 200
		if slices.Contains(away, database) {
			status = 503
		}
		await(t, func(ctx context.Context) error {
			if !p.Running() {
				t.Fatalf("a service has ended without %v:\n%s", away, p.Log())
			}
			got, degraded, err := o.Readiness(ctx, p)
			slices.Sort(degraded)
			if err == nil && (got != status || !slices.Equal(degraded, wanted)) {
				err = fmt.Errorf("without %v it answers %d and is degraded by %v, not %d and %v", away, got, degraded, status, wanted)
			}
			return err
		})
	}
}

// serves holds the services to what they can do: with the database sessions are read and made, with the broker as well tokens are given. What
// they can't they say, and that it may be tried again.
func (o outages) serves(c *call, away []string) {
	c.Helper()
	stored, asked := !slices.Contains(away, database), !slices.Contains(away, database) && !slices.Contains(away, broker)
	api := o.API.As(alice)
	_, err := api.Get(c.Context(), c.id)
	possible(c, stored, err, "reading a session")
	_, err = api.Create(c.Context(), callplane.NewSession{Kind: "audio"})
	possible(c, stored, err, "making a session")
	_, err = api.Token(c.Context(), c.id, callplane.TokenRequest{})
	possible(c, asked, err, "asking for a token")
}

// possible holds what came of a request against whether it could be served.
func possible(c *call, can bool, err error, what string) {
	c.Helper()
	if can {
		require.NoError(c, err, what)
		return
	}
	var problem *callplane.Problem
	require.True(c, errors.As(err, &problem) && problem.Retryable, "%s ends with %v", what, err)
}

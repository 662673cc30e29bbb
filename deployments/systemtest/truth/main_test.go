//go:build integration

package truth

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	alice = "alice" // the host
	bob   = "bob"
	carol = "carol"
)

const (
	// patience is how long a scenario waits for what must come; LiveKit alone takes more than 20 s until it tells that somebody was lost.
	patience = 100 * time.Second
	// pulse is how often it looks.
	pulse = 500 * time.Millisecond
	// joinsAtOnce is how many calls begin at the same time, so that those that have begun are not held up.
	joinsAtOnce = 3
	// stacksAtOnce is how many stacks there are at the same time: on two processors more of them have
	// webhooks come later than the comparisons that they are to come before.
	stacksAtOnce = 3
	// scenarios go on side by side, however few processors there are: each waits for nearly all of its time.
	scenarios = 64
)

// quick are settings of a bridge that waits for a short time only. It looks so seldom that a webhook comes first on a busy machine as well.
// A room still outlives its last one by more than the reconciler takes to see that nobody is in it, as with the settings that it has by itself.
func quick(window time.Duration, changes map[string]string) stack.Option {
	settings := map[string]string{
		"RECONNECT_WINDOW": window.String(), "RECONCILE_INTERVAL": "2s", "ROOM_DEPARTURE_TIMEOUT": "8s",
	}
	maps.Copy(settings, changes)
	return stack.WithBridge(settings)
}

// Stacks start one after the other, and a few calls begin at a time: all at once would take as long, and be hard on those that are under way.
var (
	starting sync.Mutex
	joining  = make(chan struct{}, joinsAtOnce)
	slots    = make(chan struct{}, stacksAtOnce)
)

// start starts a stack that has been prepared, when it is its turn.
func start(t *testing.T, prepare func() *stack.Stack) *stack.Stack {
	t.Helper()
	select {
	case slots <- struct{}{}:
		t.Cleanup(func() { <-slots })
	case <-t.Context().Done():
		t.Fatal("no stack ends for this one to start")
	}
	starting.Lock()
	defer starting.Unlock()
	s := prepare()
	s.Start(t)
	s.AwaitReady(t)
	return s
}

// usual prepares a stack on the shared broker.
func usual(t *testing.T, options ...stack.Option) *stack.Stack {
	t.Helper()
	return start(t, func() *stack.Stack { return stack.Prepare(t, testkit.Rabbit(t), options...) })
}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(scenarios)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testkit.Main(m)
}

// call is a session of alice's, with bob and carol as members.
type call struct {
	*testing.T

	stack *stack.Stack
	id    string
	room  string
}

func newCall(t *testing.T, s *stack.Stack) *call {
	t.Helper()
	var session callplane.Session
	await(t, func(ctx context.Context) error { // On a busy machine it may take a second attempt.
		var err error
		session, err = s.API.As(alice).Create(ctx, callplane.NewSession{
			Title: t.Name(), Kind: "audio", Members: []callplane.Member{{UserID: bob, Role: "participant"}, {UserID: carol, Role: "participant"}},
		})
		return err
	})
	return &call{T: t, stack: s, id: session.SessionID, room: "call-" + session.SessionID}
}

// await waits until check returns nil.
func await(t testing.TB, check func(ctx context.Context) error) {
	t.Helper()
	testkit.EventuallyEvery(t, pulse, patience, check)
}

// join has each of the users join, publish audio and be shown so, one after the other.
func (c *call) join(users ...string) []*caller.Process {
	c.Helper()
	speakers := make([]*caller.Process, len(users))
	joining <- struct{}{}
	defer func() { <-joining }()
	for n, user := range users {
		speakers[n] = c.stack.JoinApart(c, c.id, user)
		c.sees("call.track.published " + user)
	}
	return speakers
}

func (c *call) lines(ctx context.Context) ([]string, error) {
	log, err := c.stack.API.As(alice).Log(ctx, c.id)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return stack.Lines(log)
}

// now is the log as it is.
func (c *call) now() []string {
	c.Helper()
	lines, err := c.lines(c.Context())
	require.NoError(c, err)
	return lines
}

// sees waits until the log has the line.
func (c *call) sees(line string) {
	c.Helper()
	c.seesTimes(1, line)
}

// seesTimes waits until the log has the line so many times.
func (c *call) seesTimes(times int, line string) {
	c.Helper()
	await(c, func(ctx context.Context) error {
		lines, err := c.lines(ctx)
		if err != nil {
			return err
		}
		found := len(slices.DeleteFunc(slices.Clone(lines), func(other string) bool { return other != line }))
		if found < times {
			err = fmt.Errorf("%q is %d times in the log, not %d: %q", line, found, times, lines)
		}
		return err
	})
}

// is holds the log against what has happened so far, the session's status and who is shown, as soon as they are so.
func (c *call) is(status string, shown map[string]string, told story) {
	c.Helper()
	await(c, func(ctx context.Context) error {
		lines, err := c.lines(ctx)
		if err != nil {
			return err
		}
		if err := told.isTold(lines); err != nil {
			return err
		}
		return c.isShown(ctx, status, shown)
	})
}

// isShown fails unless the session has the status and shows these people.
func (c *call) isShown(ctx context.Context, status string, shown map[string]string) error {
	session, err := c.stack.API.As(alice).Get(ctx, c.id)
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, p := range session.Participants {
		got[p.UserID] = p.Status
	}
	if session.Status != status || !maps.Equal(got, shown) {
		return fmt.Errorf("the session is %s with %v, not %s with %v", session.Status, got, status, shown)
	}
	return nil
}

// shows is is where the log is open.
func (c *call) shows(status string, shown map[string]string) {
	c.Helper()
	await(c, func(ctx context.Context) error {
		err := c.isShown(ctx, status, shown)
		if err != nil {
			lines, _ := c.lines(ctx)
			err = fmt.Errorf("%w: %q", err, lines)
		}
		return err
	})
}

// hasNot holds the log to have no line that begins so.
func (c *call) hasNot(beginning string) {
	c.Helper()
	lines := c.now()
	require.False(c, slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, beginning) }), "%q", lines)
}

// ends holds the session against its end: log, status and presence are final, and nothing of it is left anywhere.
func (c *call) ends(status string, shown map[string]string, told story) {
	c.Helper()
	c.is(status, shown, told)
	await(c, func(ctx context.Context) error {
		rooms, err := c.stack.RoomExists(ctx, c.room)
		if err != nil {
			return err
		}
		left := c.count(c.stack.BridgeDB, `SELECT (SELECT count(*) FROM room_deletions WHERE room_name = 'call-' || $1) +
			(SELECT count(*) FROM windows WHERE session_id::text = $1) +
			(SELECT count(*) FROM outbox WHERE partition_key = $1 AND published_at IS NULL)`)
		if rooms || left > 0 {
			return fmt.Errorf("LiveKit has the room: %t; rooms to delete, windows to end and events to publish: %d", rooms, left)
		}
		return nil
	})
	c.is(status, shown, told) // still
	require.Zero(c, c.count(c.stack.SessionsDB, `SELECT count(*) FROM quarantine WHERE session_id::text = $1`), "sessions could not take every event")
}

// count reads a number about the session from a service's database.
func (c *call) count(db stack.Database, sql string) int {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), db.AdminURL)
	require.NoError(c, err)
	defer func() { require.NoError(c, conn.Close(c.Context())) }()
	var n int
	require.NoError(c, conn.QueryRow(c.Context(), sql, c.id).Scan(&n))
	return n
}

// texts reads a column about the session from a service's database.
func (c *call) texts(db stack.Database, sql string) []string {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), db.AdminURL)
	require.NoError(c, err)
	defer func() { require.NoError(c, conn.Close(c.Context())) }()
	rows, err := conn.Query(c.Context(), sql, c.id)
	require.NoError(c, err)
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(c, err)
	return texts
}

// webhooks counts what had a fate on its way to the bridge: the event of the identity's, "" for those about the room.
func (c *call) webhooks(fate stack.Fate, event, identity string) int {
	return len(slices.DeleteFunc(c.stack.Webhooks.Seen(c.room, fate), func(w stack.Webhook) bool { return w.Event != event || w.Identity != identity }))
}

// tells waits until so many webhooks had the fate.
func (c *call) tells(times int, fate stack.Fate, event, identity string) {
	c.Helper()
	await(c, func(context.Context) error {
		if got := c.webhooks(fate, event, identity); got < times {
			return fmt.Errorf("%d times %s of %q, not %d", got, event, identity, times)
		}
		return nil
	})
}

// hears waits until audio of the other gets to one.
func (c *call) hears(one *caller.Process) {
	c.Helper()
	before := one.Heard(c)
	await(c, func(context.Context) error {
		if one.Heard(c) < before+5 {
			return fmt.Errorf("%s hears nobody", one.Identity())
		}
		return nil
	})
}

// noRoom waits until LiveKit has no room for the call.
func (c *call) noRoom() {
	c.Helper()
	await(c, func(ctx context.Context) error {
		there, err := c.stack.RoomExists(ctx, c.room)
		if err == nil && there {
			err = fmt.Errorf("LiveKit has room %s", c.room)
		}
		return err
	})
}

// remove has LiveKit put somebody out, by its own API.
func (c *call) remove(identity string) {
	c.Helper()
	_, err := c.stack.Rooms.RemoveParticipant(c.Context(), &livekit.RoomParticipantIdentity{Room: c.room, Identity: identity})
	require.NoError(c, err)
}

// since waits until a scenario has lasted as long as it has to.
func since(t testing.TB, began time.Time, lasts time.Duration) {
	t.Helper()
	select {
	case <-time.After(time.Until(began.Add(lasts))):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func shown(pairs ...string) map[string]string {
	all := map[string]string{}
	for n := 0; n < len(pairs); n += 2 {
		all[pairs[n]] = pairs[n+1]
	}
	return all
}

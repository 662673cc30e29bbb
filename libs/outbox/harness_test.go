//go:build integration

package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/testkit"
)

// Enough for a loaded machine; nothing below waits that long when it works.
const patience = 30 * time.Second

// counters stand for what the keys of the rows stand for: rows that are locked before the outbox is written.
const counters = `CREATE TABLE counters (key text PRIMARY KEY, n int NOT NULL DEFAULT 0);`

func migrate(url string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is in hand
	_, err = conn.Exec(ctx, Schema+counters)
	return err
}

// database returns the URL of a fresh database for a service's own role, which has no DDL.
func database(t testing.TB) string {
	t.Helper()
	url, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
	return url
}

func open(t testing.TB, url string) *gorm.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, postgres.Options{ApplicationName: "outbox-test"})
	require.NoError(t, err)
	t.Cleanup(func() { closeDB(db) })
	return db
}

func closeDB(db *gorm.DB) {
	if pool, err := db.DB(); err == nil {
		_ = pool.Close()
	}
}

// say adds the key's next numbers in a transaction of their own, as a use case does, and hands them to relays.
func say(db *gorm.DB, key string, count int, relays ...*running) error {
	var added *Added
	err := postgres.InPipeline(db.Statement.Context, db, func(p *postgres.Pipeline) (err error) {
		added, err = sayIn(p, key, count)
		return err
	})
	if err == nil {
		for _, relay := range relays {
			relay.Hand(added)
		}
	}
	return err
}

func sayIn(p *postgres.Pipeline, key string, count int) (*Added, error) {
	var last int
	err := p.DB().Raw(`INSERT INTO counters (key, n) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET n = counters.n + excluded.n RETURNING n`,
		key, count).Scan(&last).Error
	if err != nil {
		return nil, err
	}
	rows := make([]Row, count)
	for i := range rows {
		rows[i] = Row{
			PartitionKey: key, Exchange: "call.events", RoutingKey: "call.created", MessageID: uuid.NewString(),
			Headers: map[string]string{"session-id": key}, Body: []byte(fmt.Sprint(last - count + 1 + i)),
		}
	}
	return Add(p.DB().Statement.Context, p, rows...)
}

// wire stands for the broker: it keeps what it has confirmed, in order.
type wire struct {
	mu       sync.Mutex
	messages []rabbitmq.Message
	by       []string                                   // who sent it
	fail     func(who string, m rabbitmq.Message) error // nil: none fails
	after    func(who string, sent int)                 // called without the lock after each batch
	stall    func(ctx context.Context) <-chan struct{}  // waited for before each batch
}

// sender is one relay's way to the wire.
type sender struct {
	*wire
	who string
}

func (s sender) PublishBatch(ctx context.Context, messages []rabbitmq.Message) []error {
	if s.stall != nil {
		select {
		case <-s.stall(ctx):
		case <-ctx.Done():
		}
	}
	errs := make([]error, len(messages))
	s.mu.Lock()
	for i, m := range messages {
		if s.fail != nil {
			errs[i] = s.fail(s.who, m)
		}
		if errs[i] == nil {
			s.messages = append(s.messages, m)
			s.by = append(s.by, s.who)
		}
	}
	s.mu.Unlock()
	if s.after != nil {
		s.after(s.who, len(messages))
	}
	return errs
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.messages)
}

func (w *wire) setFail(fail func(string, rabbitmq.Message) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = fail
}

// of returns the bodies of a key in the order in which they arrived.
func (w *wire) of(key string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var bodies []string
	for _, m := range w.messages {
		if m.Headers["session-id"] == key {
			bodies = append(bodies, string(m.Body))
		}
	}
	return bodies
}

func firsts(list []string) []string {
	var out []string
	known := map[string]bool{}
	for _, x := range list {
		if !known[x] {
			known[x] = true
			out = append(out, x)
		}
	}
	return out
}

func upTo(n int) []string {
	var out []string
	for i := 1; i <= n; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// running is a relay that runs.
type running struct {
	*Relay
	stop func()
}

func start(t testing.TB, o Options) *running {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	relay, err := NewRelay(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { assert.NoError(t, relay.Run(ctx)) })
	r := &running{Relay: relay, stop: sync.OnceFunc(func() { cancel(); done.Wait() })}
	t.Cleanup(r.stop)
	return r
}

// lanes returns which lanes the relay says that it holds, and how many.
func (r *running) lanes() (held [Lanes]bool, n int) {
	for lane, gauge := range r.metrics.held {
		if held[lane] = testutil.ToFloat64(gauge) == 1; held[lane] {
			n++
		}
	}
	return held, n
}

func (r *running) held() int {
	_, n := r.lanes()
	return n
}

// sameLane returns two keys of one lane.
func sameLane() (a, b string) {
	a = "key-a"
	for n := 0; ; n++ {
		if b = fmt.Sprint("key-b", n); Lane(a) == Lane(b) {
			return a, b
		}
	}
}

//go:build integration

package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/testkit"
)

func TestWhatIsCommittedIsPublishedAndWhatIsRolledBackIsNot(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	relay := start(t, Options{DB: db, Publisher: sender{out, "r"}, Holder: "r", Poll: time.Hour})
	require.Eventually(t, func() bool { return relay.held() == Lanes }, patience, 5*time.Millisecond)
	undone := errors.New("undone")
	require.ErrorIs(t, postgres.InPipeline(t.Context(), db, func(p *postgres.Pipeline) error {
		_, err := sayIn(p, "k", 3)
		require.NoError(t, err)
		return undone
	}), undone)
	require.NoError(t, say(db, "k", 3))
	relay.Wake("k")
	require.Eventually(t, func() bool { return out.count() == 3 }, patience, time.Millisecond, "the hint is enough")
	require.NoError(t, say(db, "k", 2))
	relay.Wake()
	require.Eventually(t, func() bool { return out.count() == 5 }, patience, time.Millisecond)
	relay.stop()
	assert.Equal(t, upTo(5), out.of("k"))
	first := out.messages[0]
	assert.Equal(t, "call.events", first.Exchange)
	assert.Equal(t, "call.created", first.Key)
	assert.NoError(t, uuid.Validate(first.ID))
	assert.WithinDuration(t, time.Now(), first.Timestamp, time.Minute)
	var left int64
	require.NoError(t, db.Raw(`SELECT count(*) FROM outbox WHERE published_at IS NULL`).Scan(&left).Error)
	assert.Zero(t, left)
}

func TestWithoutAHintThePollFindsRows(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	start(t, Options{DB: db, Publisher: sender{out, "r"}, Holder: "r", Poll: 10 * time.Millisecond})
	require.NoError(t, say(db, "k", 1))
	require.Eventually(t, func() bool { return out.count() == 1 }, patience, time.Millisecond)
}

// Ids are given when a row is inserted, not when it is committed: one may appear below others that are long published.
func TestALowerIDThatCommitsLaterIsNotSkipped(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	slow, quick := sameLane()
	start(t, Options{DB: db, Publisher: sender{out, "r"}, Holder: "r", Poll: 5 * time.Millisecond})
	require.NoError(t, postgres.InPipeline(t.Context(), db, func(p *postgres.Pipeline) error {
		_, err := sayIn(p, slow, 2)
		require.NoError(t, err)
		require.NoError(t, p.Flush(t.Context()))
		require.NoError(t, say(db, quick, 3))
		require.Eventually(t, func() bool { return len(out.of(quick)) == 3 }, patience, time.Millisecond, "the open transaction holds nobody up")
		return nil
	}))
	require.Eventually(t, func() bool { return len(out.of(slow)) == 2 }, patience, time.Millisecond)
}

// One that is refused takes those with it that are on their way at the same time, and is found by sending one at a time.
func TestARowThatFailsHoldsBackItsKeyOnly(t *testing.T) {
	for _, reason := range []error{rabbitmq.ErrUnroutable, rabbitmq.ErrNacked, rabbitmq.ErrRefused} {
		t.Run(reason.Error(), func(t *testing.T) {
			db, out := open(t, database(t)), &wire{}
			bad, good := sameLane()
			out.setFail(func(_ string, m rabbitmq.Message) error {
				if m.Headers["session-id"] == bad && string(m.Body) == "2" {
					return fmt.Errorf("wrapped: %w", reason)
				}
				return nil
			})
			require.NoError(t, say(db, bad, 4))
			require.NoError(t, say(db, good, 4))
			start(t, Options{DB: db, Publisher: sender{out, "r"}, Holder: "r", Poll: 5 * time.Millisecond})
			require.Eventually(t, func() bool { return len(out.of(good)) == 4 }, patience, time.Millisecond)
			require.NoError(t, say(db, good, 4))
			require.Eventually(t, func() bool { return len(out.of(good)) == 8 }, patience, time.Millisecond, "also what comes later")
			assert.Equal(t, upTo(1), out.of(bad))
			out.setFail(nil)
			require.Eventually(t, func() bool { return len(out.of(bad)) == 4 }, patience, time.Millisecond)
			assert.Equal(t, upTo(4), out.of(bad))
			assert.Equal(t, upTo(8), out.of(good))
		})
	}
}

// A relay that dies at any line: another takes its lanes when the leases have expired, nothing is lost, and what arrives for the first
// time arrives in order.
func TestACrashAtAnyLineLosesNothingAndKeepsOrder(t *testing.T) {
	const keys, each = 6, 30
	for name, crash := range map[string]func(db *gorm.DB, out *wire){
		"before anything": func(db *gorm.DB, _ *wire) { closeDB(db) },
		"after publishing, before marking": func(db *gorm.DB, out *wire) {
			out.after = func(who string, _ int) {
				if who == "crashing" {
					closeDB(db)
				}
			}
		},
		"in the middle of a batch": func(db *gorm.DB, out *wire) {
			sent := 0
			out.fail = func(who string, _ rabbitmq.Message) error {
				if sent++; who == "crashing" && sent > keys*each/3 {
					closeDB(db)
					return rabbitmq.ErrUnconfirmed
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, out := database(t), &wire{}
			db, doomed := open(t, url), open(t, url)
			for range each {
				for k := range keys {
					require.NoError(t, say(db, fmt.Sprint("k", k), 1))
				}
			}
			crash(doomed, out)
			lease := time.Second
			start(t, Options{DB: doomed, Publisher: sender{out, "crashing"}, Holder: "crashing", Lease: lease, Batch: 50})
			if name != "before anything" {
				require.Eventually(t, func() bool { return out.count() > 0 }, patience, time.Millisecond)
				require.Eventually(t, func() bool { return doomed.Exec("SELECT 1").Error != nil }, patience, time.Millisecond)
			}
			start(t, Options{DB: db, Publisher: sender{out, "next"}, Holder: "next", Lease: lease})
			require.Eventually(t, func() bool {
				for k := range keys {
					if len(firsts(out.of(fmt.Sprint("k", k)))) < each {
						return false
					}
				}
				return true
			}, patience, 5*time.Millisecond, "rows are lost")
			for k := range keys {
				assert.Equal(t, upTo(each), firsts(out.of(fmt.Sprint("k", k))))
			}
		})
	}
}

// A relay that lost its lease without knowing marks nothing.
func TestAStaleFenceMarksNothing(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	require.NoError(t, say(db, "k", 2))
	stale := ofLane(t, db, out, "k")
	rows, err := stale.read(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	other := &leases{db: db, holder: "other", lease: time.Minute}
	require.NoError(t, db.Exec(`UPDATE outbox_lanes SET expires_at = clock_timestamp() - interval '1 second'`).Error)
	taken, err := other.take(t.Context(), Lanes)
	require.NoError(t, err)
	require.Greater(t, taken[stale.lane], stale.fence, "the fence grows")
	stale.unmarked = []int64{rows[0].ID, rows[1].ID}
	require.ErrorIs(t, stale.markAll(t.Context()), errLaneLost)
	rows, err = stale.read(t.Context(), 10)
	require.NoError(t, err)
	assert.Empty(t, rows, "and it reads nothing")
	var left int64
	require.NoError(t, db.Raw(`SELECT count(*) FROM outbox WHERE published_at IS NULL`).Scan(&left).Error)
	assert.Equal(t, int64(2), left)
}

// Relays come and go under load: lanes are shared evenly, a relay that stops gives them up at once, and every row is published once, in
// order, because none of them crashed.
func TestRelaysShareTheLanes(t *testing.T) {
	const keys, each = 12, 120
	url, out := database(t), &wire{}
	db := open(t, url)
	relay := func(name string) *running {
		return start(t, Options{DB: open(t, url), Publisher: sender{out, name}, Holder: name, Poll: 5 * time.Millisecond, Lease: time.Minute})
	}
	var saying sync.WaitGroup
	for k := range keys {
		saying.Go(func() {
			for range each {
				if !assert.NoError(t, say(db, fmt.Sprint("k", k), 1)) {
					return
				}
			}
		})
	}
	shares := func(relays ...*running) func() bool {
		return func() bool {
			var held []int
			for _, r := range relays {
				held = append(held, r.held())
			}
			slices.Sort(held)
			want := map[int][]int{1: {4}, 2: {2, 2}, 3: {1, 1, 2}}[len(relays)]
			return slices.Equal(held, want)
		}
	}
	a := relay("a")
	require.Eventually(t, shares(a), patience, time.Millisecond)
	b := relay("b")
	require.Eventually(t, shares(a, b), patience, time.Millisecond)
	c := relay("c")
	require.Eventually(t, shares(a, b, c), patience, time.Millisecond)
	a.stop()
	require.Eventually(t, shares(b, c), patience, time.Millisecond, "the leases of a minute were given up")
	c.stop()
	require.Eventually(t, shares(b), patience, time.Millisecond)
	saying.Wait()
	require.Eventually(t, func() bool { return out.count() >= keys*each }, patience, 5*time.Millisecond)
	b.stop()
	for k := range keys {
		assert.Equal(t, upTo(each), out.of(fmt.Sprint("k", k)))
	}
	var known int64
	require.NoError(t, db.Raw(`SELECT count(*) FROM outbox_relays`).Scan(&known).Error)
	assert.Zero(t, known, "they signed off")
}

// The database cuts every connection, again and again.
// A relay that can't renew its leases says that it holds nothing before another one can hold it.
func TestNoTwoRelaysSayThatTheyHoldALane(t *testing.T) {
	url := database(t)
	db, out := open(t, url), &wire{}
	a := start(t, Options{DB: db, Publisher: sender{out, "a"}, Holder: "a", Lease: time.Second})
	require.Eventually(t, func() bool { return a.held() == Lanes }, patience, time.Millisecond)
	closeDB(db)
	b := start(t, Options{DB: open(t, url), Publisher: sender{out, "b"}, Holder: "b", Lease: time.Second})
	require.Eventually(t, func() bool {
		taken, n := b.lanes()
		kept, _ := a.lanes()
		for lane := range taken {
			require.False(t, taken[lane] && kept[lane], "lane %d", lane)
		}
		return n == Lanes
	}, patience, time.Millisecond)
}

func TestADatabaseThatGoesAwayIsWaitedFor(t *testing.T) {
	const keys, each = 6, 80
	pg := testkit.Postgres(t)
	url, _ := pg.Database(t, "sessions", migrate)
	db, out := open(t, url), &wire{}
	start(t, Options{DB: open(t, url), Publisher: sender{out, "r"}, Holder: "r", Poll: 5 * time.Millisecond, Lease: 500 * time.Millisecond})
	admin := open(t, pg.AdminURL("postgres"))
	var name string
	require.NoError(t, db.Raw(`SELECT current_database()`).Scan(&name).Error)
	var saying sync.WaitGroup
	for k := range keys {
		saying.Go(func() {
			for done := 0; done < each; {
				if say(db, fmt.Sprint("k", k), 1) == nil {
					done++
				}
			}
		})
	}
	for cut := range 5 {
		require.Eventually(t, func() bool { return out.count() > cut*keys*each/8 }, patience, time.Millisecond)
		require.NoError(t, admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?`, name).Error)
	}
	saying.Wait()
	var said []struct {
		Key string
		N   int
	}
	require.NoError(t, db.Raw(`SELECT key, n FROM counters`).Scan(&said).Error)
	require.Len(t, said, keys)
	require.Eventually(t, func() bool {
		for _, s := range said {
			if len(firsts(out.of(s.Key))) < s.N {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond)
	for _, s := range said {
		assert.GreaterOrEqual(t, s.N, each)
		assert.Equal(t, upTo(s.N), firsts(out.of(s.Key)))
	}
}

// Stopping while a batch is on its way finishes and marks it.
func TestStoppingFinishesWhatIsOnItsWay(t *testing.T) {
	db, goOn, reached := open(t, database(t)), make(chan struct{}), make(chan struct{}, 1)
	out := &wire{stall: func(context.Context) <-chan struct{} {
		select {
		case reached <- struct{}{}:
		default:
		}
		return goOn
	}}
	require.NoError(t, say(db, "k", 1))
	relay := start(t, Options{DB: db, Publisher: sender{out, "r"}, Holder: "r"})
	<-reached
	var stopping sync.WaitGroup
	stopping.Go(relay.stop)
	close(goOn)
	stopping.Wait()
	var left int64
	require.NoError(t, db.Raw(`SELECT count(*) FROM outbox WHERE published_at IS NULL`).Scan(&left).Error)
	assert.Zero(t, left)
	var held int64
	require.NoError(t, db.Raw(`SELECT count(*) FROM outbox_lanes WHERE holder IS NOT NULL`).Scan(&held).Error)
	assert.Zero(t, held)
}

func TestPublishedRowsAreDeletedWhenTheirTimeIsOver(t *testing.T) {
	db := open(t, database(t))
	require.NoError(t, say(db, "old", 2500))
	require.NoError(t, say(db, "new", 2))
	require.NoError(t, say(db, "waiting", 3))
	require.NoError(t, db.Exec(`UPDATE outbox SET published_at = clock_timestamp() - interval '61 minutes' WHERE partition_key = 'old'`).Error)
	require.NoError(t, db.Exec(`UPDATE outbox SET published_at = clock_timestamp() - interval '59 minutes' WHERE partition_key = 'new'`).Error)
	require.NoError(t, db.Exec(`UPDATE outbox SET created_at = clock_timestamp() - interval '2 hours' WHERE partition_key = 'waiting'`).Error)
	relay, err := NewRelay(Options{DB: db, Publisher: sender{&wire{}, "r"}, Holder: "r"})
	require.NoError(t, err)
	require.NoError(t, relay.clean(t.Context()))
	var left []string
	require.NoError(t, db.Raw(`SELECT DISTINCT partition_key FROM outbox ORDER BY 1`).Scan(&left).Error)
	assert.Equal(t, []string{"new", "waiting"}, left)
	require.NoError(t, relay.measure(t.Context()))
	assert.InDelta(t, 3, testutil.ToFloat64(relay.metrics.backlog), 0)
	assert.InDelta(t, 7200, testutil.ToFloat64(relay.metrics.oldest), 60)
}

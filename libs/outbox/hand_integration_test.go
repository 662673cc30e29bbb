//go:build integration

package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
)

// addTo adds the key's next number and commits it; nobody is told.
func addTo(t *testing.T, db *gorm.DB, key string, count int) *Added {
	t.Helper()
	var added *Added
	require.NoError(t, postgres.InPipeline(t.Context(), db, func(p *postgres.Pipeline) (err error) {
		added, err = sayIn(p, key, count)
		return err
	}))
	return added
}

// first says that nothing of its key was unpublished before it.
func (a *Added) first() bool { return a.earlier != nil && len(a.earlier) == 0 }

func unpublishedRows(t *testing.T, db *gorm.DB) (count int) {
	t.Helper()
	require.NoError(t, db.Raw(`SELECT count(*) FROM outbox WHERE published_at IS NULL`).Row().Scan(&count))
	return count
}

// holding starts a relay that holds all lanes and looks for nothing by itself.
func holding(t *testing.T, db *gorm.DB, out *wire, who string) *running {
	t.Helper()
	relay := start(t, Options{DB: db, Publisher: sender{out, who}, Holder: who, Poll: time.Hour})
	require.Eventually(t, func() bool { return relay.held() == Lanes }, patience, time.Millisecond)
	return relay
}

func TestWhatIsHandedOverIsPublishedAndMarked(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	relay := holding(t, db, out, "r")
	added := addTo(t, db, "k", 3)
	require.True(t, added.first())
	stored := []unpublished{}
	require.NoError(t, db.Raw(`SELECT id, partition_key, exchange, routing_key, message_id, headers, body, created_at FROM outbox ORDER BY id`).Find(&stored).Error)
	require.Len(t, added.rows, len(stored))
	for i, row := range added.rows {
		assert.JSONEq(t, stored[i].Headers, row.Headers)
		assert.True(t, stored[i].CreatedAt.Equal(row.CreatedAt))
		row.Headers, row.CreatedAt = stored[i].Headers, stored[i].CreatedAt
		assert.Equal(t, stored[i], row, "it is what would be read")
	}
	relay.Hand(added)
	relay.Hand(nil)
	require.Eventually(t, func() bool { return out.count() == 3 }, patience, time.Millisecond)
	relay.stop()
	assert.Equal(t, upTo(3), out.of("k"))
	assert.Zero(t, unpublishedRows(t, db))
}

// ofLane returns a worker that holds the lane of a key and is not running.
func ofLane(t *testing.T, db *gorm.DB, out *wire, key string) *worker {
	t.Helper()
	relay, err := NewRelay(Options{DB: db, Publisher: sender{out, "r"}, Holder: "r"})
	require.NoError(t, err)
	held, err := relay.leases.take(t.Context(), Lanes)
	require.NoError(t, err)
	w := newWorker(relay, Lane(key), held[Lane(key)])
	t.Cleanup(w.quit)
	return w
}

// Marks may wait, and what comes meanwhile does not wait for them.
func TestWhatComesAfterAPublishedRowIsSentBeforeThatIsMarked(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	w := ofLane(t, db, out, "k")
	w.readAt = time.Now()
	first, second, third := addTo(t, db, "k", 1), addTo(t, db, "k", 2), addTo(t, db, "k", 1) // before any is marked
	require.Equal(t, []int64{first.rows[0].ID, second.rows[0].ID, second.rows[1].ID}, third.earlier)
	for n, added := range []*Added{first, second, third} {
		w.hand <- added
		next := w.idle()
		require.False(t, next.read)
		w.since = time.Now().Add(time.Hour)
		published, err := w.take(next, 10)
		require.NoError(t, err)
		require.Equal(t, len(added.rows), published)
		require.NotEmpty(t, w.unmarked)
		if n == 0 {
			require.NoError(t, w.markAll(t.Context()))
		}
	}
	assert.Equal(t, upTo(4), out.of("k"))
	require.Equal(t, 3, unpublishedRows(t, db))
	w.since = time.Now()
	next := w.idle()
	require.False(t, next.read, "they are marked without anything else happening")
	_, err := w.take(next, 10)
	require.NoError(t, err)
	assert.Zero(t, unpublishedRows(t, db))
}

// Nothing is read that is published, whether or not it is marked, and what a worker leaves behind is marked.
func TestWhatIsPublishedIsMarkedBeforeTheLaneIsReadOrLeft(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	w := ofLane(t, db, out, "k")
	publish := func() {
		_, err := w.take(turn{rows: addTo(t, db, "k", 1).rows}, 10)
		require.NoError(t, err)
		require.Len(t, w.unmarked, 1)
	}
	publish()
	n, err := w.take(turn{read: true}, 10)
	require.NoError(t, err)
	require.Zero(t, n)
	publish()
	w.quit()
	w.run()
	assert.Equal(t, upTo(2), out.of("k"))
	assert.Zero(t, unpublishedRows(t, db))
}

// What is to come after a row that nobody has sent yet is read with it, in order.
func TestWhatComesAfterAnUnpublishedRowIsNotSentBeforeIt(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	relay := holding(t, db, out, "r")
	first, second := addTo(t, db, "k", 1), addTo(t, db, "k", 1) // as when another process has committed the first
	require.True(t, first.first())
	require.False(t, second.first())
	relay.Hand(second)
	require.Eventually(t, func() bool { return out.count() == 2 }, patience, time.Millisecond)
	assert.Equal(t, upTo(2), out.of("k"))
	relay.stop()
	assert.Zero(t, unpublishedRows(t, db))
}

// A process that commits and then stands still for a while hands over what was read long ago.
func TestWhatIsHandedOverLateIsNotPublishedAgain(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	relay := holding(t, db, out, "r")
	key, other := sameLane()
	late, later := addTo(t, db, key, 1), addTo(t, db, key, 1)
	later.begun = later.begun.Add(-2 * handedInTime)
	later.earlier = []int64{}
	published := func(count int) {
		t.Helper()
		require.Eventually(t, func() bool { return out.count() == count }, patience, time.Millisecond)
	}
	relay.Wake(key)
	published(2)
	for n := range 3 { // further readings, which find other rows
		addTo(t, db, other, 1)
		relay.Wake(other)
		published(3 + n)
	}
	relay.Hand(late)
	relay.Hand(later)
	relay.Hand(addTo(t, db, other, 1))
	published(6)
	relay.stop()
	assert.Equal(t, upTo(2), out.of(key))
	assert.Equal(t, upTo(4), out.of(other))
	assert.Zero(t, unpublishedRows(t, db))
}

func TestInALaneWithMuchToPublishNothingIsSentBeforeItsTurn(t *testing.T) {
	db := open(t, database(t))
	a, b := sameLane()
	require.True(t, addTo(t, db, a, 31).first())
	require.True(t, addTo(t, db, b, 1).first(), "others do not matter")
	require.False(t, addTo(t, db, b, 1).first())
	require.False(t, addTo(t, db, a+"x", 1).first() && Lane(a+"x") == Lane(a), "too many to look through")
	require.NoError(t, db.Exec(`UPDATE outbox SET published_at = clock_timestamp()`).Error)
	require.True(t, addTo(t, db, b, 1).first())
}

// A row that is refused rests with its key, also where it was handed over, and comes back by itself.
func TestWhatIsHandedOverAndRefusedHoldsBackItsKeyOnly(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	bad, good := sameLane()
	out.setFail(func(_ string, m rabbitmq.Message) error {
		if m.Headers["session-id"] == bad {
			return rabbitmq.ErrNacked
		}
		return nil
	})
	relay := start(t, Options{DB: db, Publisher: sender{out, "r"}, Holder: "r", Poll: 5 * time.Millisecond})
	require.Eventually(t, func() bool { return relay.held() == Lanes }, patience, time.Millisecond)
	for range 3 {
		require.NoError(t, say(db, bad, 1, relay))
		require.NoError(t, say(db, good, 1, relay))
	}
	require.Eventually(t, func() bool { return len(out.of(good)) == 3 }, patience, time.Millisecond)
	assert.Empty(t, out.of(bad))
	out.setFail(nil)
	require.Eventually(t, func() bool { return len(out.of(bad)) == 3 }, patience, time.Millisecond)
	assert.Equal(t, upTo(3), out.of(bad))
}

// A relay that has lost its lane to another one, and does not know, may send what it is handed; the other one sends it again, and what comes
// after it.
func TestWhatIsHandedToARelayThatHasLostItsLane(t *testing.T) {
	url, out := database(t), &wire{}
	db := open(t, url)
	stale := holding(t, open(t, url), out, "stale")
	stale.mu.Lock()
	workers := stale.workers // as it believes to hold them, whatever it finds out meanwhile
	stale.workers = map[int16]*worker{}
	stale.mu.Unlock()
	require.NoError(t, db.Exec(`UPDATE outbox_lanes SET holder = 'next', fence = fence + 1, expires_at = clock_timestamp() + interval '1 hour'`).Error)
	first := addTo(t, db, "k", 1)
	workers[first.lane].hand <- first
	<-workers[first.lane].done // it has found out by marking
	require.Equal(t, upTo(1), out.of("k"))
	require.Equal(t, 1, unpublishedRows(t, db), "it marks nothing")
	require.False(t, addTo(t, db, "k", 1).first(), "so nothing goes before it")
	for _, w := range workers {
		w.stop()
	}
	stale.stop()
	require.NoError(t, db.Exec(`UPDATE outbox_lanes SET holder = NULL, expires_at = NULL`).Error)
	start(t, Options{DB: db, Publisher: sender{out, "next"}, Holder: "next", Poll: 5 * time.Millisecond})
	require.Eventually(t, func() bool { return len(firsts(out.of("k"))) == 2 }, patience, time.Millisecond)
	assert.Equal(t, upTo(2), firsts(out.of("k")))
}

// While rows are handed over all the time, what nobody hands over is still looked for.
func TestThePollGoesOnWhileRowsAreHandedOver(t *testing.T) {
	db, out := open(t, database(t)), &wire{}
	busy, quiet := sameLane()
	relay := start(t, Options{DB: db, Publisher: sender{out, "r"}, Holder: "r", Poll: 100 * time.Millisecond})
	require.Eventually(t, func() bool { return relay.held() == Lanes }, patience, time.Millisecond)
	addTo(t, db, quiet, 1) // by another process
	require.Eventually(t, func() bool {
		require.NoError(t, say(db, busy, 1, relay))
		return len(out.of(quiet)) == 1
	}, patience, time.Millisecond)
}

// Processes that each hand over what they add while lanes go from one to another, some die, and the broker loses what is on its way: nothing is
// lost, and what arrives for the first time arrives in order.
func TestHandingOverLosesNothingAndKeepsOrder(t *testing.T) {
	const keys, each = 8, 60
	url, out := database(t), &wire{}
	out.setFail(func(string, rabbitmq.Message) error {
		if rand.IntN(20) == 0 {
			return rabbitmq.ErrUnconfirmed
		}
		return nil
	})
	db := open(t, url)
	options := func(n int, db *gorm.DB) Options {
		who := fmt.Sprint("relay-", n)
		return Options{DB: db, Publisher: sender{out, who}, Holder: who, Poll: 20 * time.Millisecond, Lease: time.Second}
	}
	doomed := open(t, url)
	relays := []*running{start(t, options(0, db)), start(t, options(1, doomed)), start(t, options(2, db))}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var saying sync.WaitGroup
	for k := range keys {
		saying.Go(func() {
			for n := range each {
				if n == each/2 && k == 0 {
					closeDB(doomed) // a crash
					relays[2].stop()
				}
				if !assert.NoError(t, say(db.WithContext(ctx), fmt.Sprint("k", k), 1, relays[n%3])) {
					return
				}
			}
		})
	}
	saying.Wait()
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
}

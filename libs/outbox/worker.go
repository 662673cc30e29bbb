package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/callplane/callplane/libs/rabbitmq"
)

// Bounds of the pause after a row could not be published.
const (
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// A key whose row the broker would not take rests for holdTime, while the others of its lane go on. With maxHeld keys at rest it is more
// than their rows that is wrong, and the lane rests.
const (
	holdTime = 2 * time.Second
	maxHeld  = 500
)

// heldError: rows were not taken, for a reason of their own; their keys rest.
type heldError struct{ err error }

func (e *heldError) Error() string { return e.err.Error() }
func (e *heldError) Unwrap() error { return e.err }

// errLaneLost: the lease of the lane is another's by now.
var errLaneLost = errors.New("the lane's lease is lost")

// worker publishes the rows of one lane while its lease is held.
type worker struct {
	relay *Relay
	lane  int16
	fence int64
	wake  chan struct{}
	hand  chan *Added // committed rows that may be sent at once
	quit  context.CancelFunc
	done  chan struct{}
	ctx   context.Context //nolint:containedctx // the worker's own life, ended by quit

	// Only run uses these.
	held     map[string]time.Time // until when a key rests
	readAt   time.Time            // when rows were looked for last
	readings []reading            // what was read in the last handedInTime
	unmarked []int64              // rows that are published, and not marked as such yet
	since    time.Time            // when the first of unmarked was published, if there is any
	marked   []int64              // those that were marked last
}

// turn is what a worker does next. The zero one only marks what is published.
type turn struct {
	rows []unpublished // were handed over, to be published
	read bool          // look for rows
}

// reading is rows that were read.
type reading struct {
	ended time.Time
	ids   []int64
}

// handsWaiting is how many transactions' rows wait for a worker; of more it reads.
const handsWaiting = 64

// handedInTime is how long after their insertion rows may be handed over. A process that commits and then stands still may come with rows
// that have been read and published meanwhile; of what was read longer ago than this nothing is known any more.
const handedInTime = time.Second

func newWorker(r *Relay, lane int16, fence int64) *worker {
	ctx, quit := context.WithCancel(context.Background())
	return &worker{
		relay: r, lane: lane, fence: fence, wake: make(chan struct{}, 1), quit: quit, done: make(chan struct{}),
		hand: make(chan *Added, handsWaiting), held: make(map[string]time.Time), ctx: ctx,
	}
}

func (w *worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (w *worker) start() {
	go func() {
		defer close(w.done)
		w.run()
	}()
}

func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// stop ends the worker after what it is publishing.
func (w *worker) stop() {
	w.quit()
	<-w.done
}

func (w *worker) run() {
	defer w.markLast()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = minPause, maxPause
	failing := false
	// After a failure one row is sent at a time at first: where the broker refuses one, all that were on their way with it fail alike.
	limit := w.relay.opts.Batch
	next := turn{read: true}
	for w.ctx.Err() == nil {
		n, err := w.take(next, limit)
		next = turn{read: true}
		if errors.Is(err, errLaneLost) {
			w.relay.log.InfoContext(w.ctx, "an outbox lane went to another relay", "lane", w.lane)
			w.unmarked = nil // its new holder's
			return
		}
		if err != nil && !failing {
			w.relay.log.WarnContext(w.ctx, "the outbox can't publish, trying again", "lane", w.lane, "error", err)
		}
		if err == nil && failing && n > 0 && len(w.held) == 0 {
			w.relay.log.InfoContext(w.ctx, "the outbox publishes again", "lane", w.lane)
			failing = false
		}
		failing = failing || err != nil
		var held *heldError
		switch {
		case errors.As(err, &held) && len(w.held) < maxHeld: // the others go on
		case err != nil:
			limit = 1
			wait(w.ctx, pause.NextBackOff(), nil)
			continue
		}
		pause.Reset()
		full := n == limit || held != nil
		limit = min(2*limit, w.relay.opts.Batch)
		if !full {
			next = w.idle()
		}
	}
}

// idle waits until there is something to do.
func (w *worker) idle() turn {
	poll := time.NewTimer(time.Until(w.readAt.Add(w.relay.opts.Poll))) // also while rows are handed over all the time
	defer poll.Stop()
	var due <-chan time.Time
	if len(w.unmarked) > 0 {
		mark := time.NewTimer(time.Until(w.since.Add(markDelay)))
		defer mark.Stop()
		due = mark.C
	}
	select {
	case added := <-w.hand:
		rows := w.unread(added)
		return turn{rows: rows, read: len(rows) == 0}
	case <-due:
		return turn{}
	case <-poll.C:
	case <-w.wake:
	case <-w.ctx.Done():
	}
	return turn{read: true}
}

// unread returns rows that were handed over, with all others that wait, but for those that may have been read meanwhile, and those that are not
// next of their key: the relay of another process may have what is before them, or the broker does not take it, so the lane is read.
func (w *worker) unread(added *Added) (rows []unpublished) {
	w.forgetReadings()
	read, sent := map[int64]bool{}, map[int64]bool{}
	for _, r := range w.readings {
		for _, id := range r.ids {
			read[id] = true
		}
	}
	for _, id := range slices.Concat(w.marked, w.unmarked) {
		sent[id] = true
	}
	for {
		if time.Since(added.begun) > handedInTime || slices.ContainsFunc(added.earlier, func(id int64) bool { return !sent[id] }) {
			w.wakeUp()
		} else {
			for _, row := range slices.DeleteFunc(added.rows, func(row unpublished) bool { return read[row.ID] }) {
				rows, sent[row.ID] = append(rows, row), true // a key's rows go in this order
			}
		}
		if len(w.hand) == 0 || len(rows) >= w.relay.opts.Batch {
			return rows
		}
		added = <-w.hand
	}
}

// forgetReadings forgets those that ended before the insertion of anything that is handed over in time.
func (w *worker) forgetReadings() {
	w.readings = slices.DeleteFunc(w.readings, func(r reading) bool { return time.Since(r.ended) > handedInTime })
}

// unpublished is a row as it is read.
type unpublished struct {
	ID           int64
	PartitionKey string
	Exchange     string
	RoutingKey   string
	MessageID    string
	Headers      string
	Body         []byte
	CreatedAt    time.Time
}

// take does what is next, publishing rows that were handed over or else the first ones of the lane, limit at most, and returns how many. What it
// has begun it finishes, also when the worker is told to stop meanwhile.
func (w *worker) take(next turn, limit int) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), publishTimeout)
	defer cancel()
	rows := next.rows
	if len(rows) == 0 { // What is published already is not to be read.
		if err := w.markAll(ctx); err != nil {
			return 0, err
		}
	}
	if next.read {
		var err error
		if rows, err = w.read(ctx, limit); err != nil {
			return 0, err
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	published, failure := w.publish(ctx, rows)
	if len(w.unmarked) == 0 {
		w.since = time.Now()
	}
	w.unmarked = append(w.unmarked, published...)
	w.relay.metrics.published.Add(float64(len(published)))
	if failure != nil || len(w.unmarked) >= w.relay.opts.Batch || time.Since(w.since) > maxMarkDelay {
		if err := w.markAll(ctx); err != nil {
			return 0, err
		}
	}
	return len(published), failure
}

// read returns the lane's first rows of keys that don't rest, unless the lease is lost.
func (w *worker) read(ctx context.Context, limit int) ([]unpublished, error) {
	resting, err := w.resting()
	if err != nil {
		return nil, err
	}
	for len(w.hand) > 0 {
		<-w.hand // They are committed, so they are read now, or after what is read now.
	}
	w.readAt = time.Now()
	var rows []unpublished
	err = w.relay.opts.DB.WithContext(ctx).Raw(`SELECT o.id, o.partition_key, o.exchange, o.routing_key, o.message_id, o.headers, o.body, o.created_at
		FROM outbox o
		WHERE o.lane = ? AND o.published_at IS NULL
			AND EXISTS (SELECT FROM outbox_lanes l WHERE l.lane = ? AND l.holder = ? AND l.fence = ? AND l.expires_at > clock_timestamp())
			AND o.partition_key NOT IN (SELECT jsonb_array_elements_text(?::jsonb))
		ORDER BY o.id LIMIT ?`, w.lane, w.lane, w.relay.opts.Holder, w.fence, resting, limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	w.forgetReadings()
	if len(rows) > 0 {
		r := reading{ended: time.Now(), ids: make([]int64, len(rows))}
		for i, row := range rows {
			r.ids[i] = row.ID
		}
		w.readings = append(w.readings, r)
	}
	return rows, nil
}

// resting returns the keys that rest now, as JSON: one parameter, so one statement to prepare for any number of them.
func (w *worker) resting() (string, error) {
	keys := make([]string, 0, len(w.held))
	for key, until := range w.held {
		if time.Now().After(until) {
			delete(w.held, key)
			continue
		}
		keys = append(keys, key)
	}
	encoded, err := json.Marshal(keys)
	if err != nil {
		return "", fmt.Errorf("encode the keys that rest: %w", err)
	}
	return string(encoded), nil
}

// publish sends rows in waves, each with the next row of every key, so that no row is sent before the one before it of the same key is
// confirmed. It returns the ids of the confirmed ones, and why the first of the others is not: a heldError where that is the row's own
// matter.
func (w *worker) publish(ctx context.Context, rows []unpublished) (published []int64, failure error) {
	alone := len(rows) == 1
	for len(rows) > 0 && !late(ctx) {
		wave, rest, keys := nextWave(rows)
		messages := make([]rabbitmq.Message, len(wave))
		for i, row := range wave {
			message, err := row.message()
			if err != nil {
				return published, err
			}
			messages[i] = message
		}
		for i, err := range w.relay.opts.Publisher.PublishBatch(ctx, messages) {
			if err == nil {
				published = append(published, wave[i].ID)
				delete(keys, wave[i].PartitionKey)
				continue
			}
			err = fmt.Errorf("publish outbox row %d (%s %s): %w", wave[i].ID, wave[i].RoutingKey, wave[i].MessageID, err)
			if ownMatter(err, alone) {
				w.held[wave[i].PartitionKey] = time.Now().Add(holdTime)
				err = &heldError{err}
			} else {
				rest = nil // the connection or channel is gone, the others would fare the same
			}
			if failure == nil || rest == nil {
				failure = err
			}
		}
		rows = rest[:0:0]
		for _, row := range rest {
			if _, failed := keys[row.PartitionKey]; !failed { // keys now has those that failed
				rows = append(rows, row)
			}
		}
	}
	return published, failure
}

// late tells that half of the time for a batch is over. What is left of it then is for the confirms of what was sent: a row that is not
// waited for to the end would be sent twice.
func late(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return bounded && time.Until(deadline) < publishTimeout/2
}

// ownMatter tells whether a failure is about the row alone. What was on its way with a refused row fails with it, so that is only known
// of a row that was sent alone.
func ownMatter(err error, alone bool) bool {
	return errors.Is(err, rabbitmq.ErrNacked) || errors.Is(err, rabbitmq.ErrUnroutable) || alone && errors.Is(err, rabbitmq.ErrRefused)
}

// nextWave splits off the first row of every key. keys has all keys of the wave.
func nextWave(rows []unpublished) (wave, rest []unpublished, keys map[string]struct{}) {
	keys = make(map[string]struct{}, len(rows))
	for _, row := range rows {
		if _, seen := keys[row.PartitionKey]; seen {
			rest = append(rest, row)
			continue
		}
		keys[row.PartitionKey] = struct{}{}
		wave = append(wave, row)
	}
	return wave, rest, keys
}

func (u unpublished) message() (rabbitmq.Message, error) {
	var headers map[string]string
	if err := json.Unmarshal([]byte(u.Headers), &headers); err != nil {
		return rabbitmq.Message{}, fmt.Errorf("read the headers of outbox row %d: %w", u.ID, err)
	}
	return rabbitmq.Message{
		Exchange: u.Exchange, Key: u.RoutingKey, ID: u.MessageID, Headers: headers, Body: u.Body, Timestamp: u.CreatedAt,
	}, nil
}

package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/rabbitmq"
)

// Publisher publishes messages and tells for each whether the broker has confirmed it; *rabbitmq.Publisher is one.
type Publisher interface {
	PublishBatch(ctx context.Context, messages []rabbitmq.Message) []error
}

// Options of a relay. DB, Publisher and Holder are required.
type Options struct {
	DB        *gorm.DB
	Publisher Publisher
	// Holder names this process among the relays of the database. It must be unique, also over restarts.
	Holder string
	// Lease is how long a lane is held without being renewed, so how long it rests after a crash; 15 s unless given.
	Lease time.Duration
	// Poll is how often a lane looks for rows that nothing woke it for; 250 ms unless given.
	Poll time.Duration
	// Batch is how many rows are read at once; 256 unless given.
	Batch int
	// Keep is how long published rows are kept; 1 h unless given.
	Keep     time.Duration
	Logger   *slog.Logger          // slog.Default unless given
	Registry prometheus.Registerer // for the metrics; not shown unless given
}

// Intervals of upkeep.
const (
	keepInterval    = time.Second            // between two looks at the leases
	hungryInterval  = 100 * time.Millisecond // the same while lanes are due from others
	measureInterval = 5 * time.Second
	cleanInterval   = time.Minute
	publishTimeout  = 10 * time.Second
	queryTimeout    = 10 * time.Second
	releaseTimeout  = 3 * time.Second
)

// Relay publishes the rows of the lanes it holds. The lanes are shared evenly among the relays that run on the same database.
type Relay struct {
	opts    Options
	leases  *leases
	log     *slog.Logger
	metrics *metrics

	claimed atomic.Pointer[claim]

	mu      sync.Mutex
	workers map[int16]*worker
}

// claim is the lanes that are held, and until when nobody else can hold them even if the leases are not renewed.
type claim struct {
	lanes [Lanes]bool
	until time.Time
}

// NewRelay makes a relay; nothing happens before Run.
func NewRelay(o Options) (*Relay, error) {
	if o.DB == nil || o.Publisher == nil || o.Holder == "" {
		return nil, errors.New("an outbox relay needs a database, a publisher and the name of its holder")
	}
	if o.Lease <= 0 {
		o.Lease = 15 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	if o.Batch <= 0 {
		o.Batch = 256
	}
	if o.Keep <= 0 {
		o.Keep = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Relay{
		opts:    o,
		leases:  &leases{db: o.DB, holder: o.Holder, lease: o.Lease},
		log:     o.Logger.With("component", "outbox", "holder", o.Holder),
		workers: make(map[int16]*worker),
	}
	r.metrics = newMetrics(o.Registry, r.holds)
	return r, nil
}

// Wake makes the relay look for new rows of the given partition keys at once, or of all without any. It never blocks and may be called
// at any time; what it finds not committed yet, the next poll finds.
func (r *Relay) Wake(partitionKeys ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(partitionKeys) == 0 {
		for _, w := range r.workers {
			w.wakeUp()
		}
	}
	for _, key := range partitionKeys {
		if w, ok := r.workers[Lane(key)]; ok {
			w.wakeUp()
		}
	}
}

// Hand gives the relay what a committed transaction has added, which is published without being read again where this relay holds the lane
// and has published what is before it of the key. Otherwise it is as Wake. It never blocks and may be called at any time.
func (r *Relay) Hand(added *Added) {
	if added == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.workers[added.lane]
	if !ok {
		return
	}
	if added.earlier != nil {
		select {
		case w.hand <- added:
			return
		default:
		}
	}
	w.wakeUp()
}

// Run relays until ctx ends, then finishes what is being published and gives its lanes up. It returns nil; a database or broker that is
// away is waited for. It may be called once.
func (r *Relay) Run(ctx context.Context) error {
	var upkeep sync.WaitGroup
	upkeep.Go(func() { r.every(ctx, measureInterval, "measure the outbox", r.measure) })
	upkeep.Go(func() { r.every(ctx, cleanInterval, "clean the outbox up", r.clean) })
	r.keep(ctx)
	upkeep.Wait()
	r.stopAll()
	r.claimed.Store(nil)
	// The lanes are free for others at once, instead of when the leases expire.
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := r.leases.leave(bye); err != nil {
		r.log.WarnContext(ctx, "the outbox lanes could not be given up, they rest until their leases expire", "error", err)
	}
	return nil
}

// keep renews the leases and has a worker for each lane that is held, until ctx ends.
func (r *Relay) keep(ctx context.Context) {
	failing := false
	for {
		hungry, err := r.balance(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			r.log.WarnContext(ctx, "the outbox leases can't be renewed, trying again", "error", err)
		}
		failing = err != nil
		pause := min(keepInterval, r.opts.Lease/3)
		if hungry {
			pause = hungryInterval
		}
		if !wait(ctx, pause, nil) {
			return
		}
	}
}

// balance brings leases and workers to this relay's share. hungry: others still hold lanes that are due here.
func (r *Relay) balance(ctx context.Context) (hungry bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(queryTimeout, r.opts.Lease))
	defer cancel()
	until := time.Now().Add(r.opts.Lease)
	held, share, err := r.leases.renew(ctx)
	if err != nil {
		return false, err
	}
	for _, lane := range r.staleLanes(held) {
		r.stopWorker(lane)
	}
	for lane := range held {
		if len(held) <= share {
			break
		}
		r.stopWorker(lane) // first finish, then hand over
		fence := held[lane]
		delete(held, lane)
		r.claim(held, until)
		if err := r.leases.release(ctx, lane, fence); err != nil {
			return false, err
		}
	}
	if len(held) < share {
		taken, err := r.leases.take(ctx, share-len(held))
		if err != nil {
			return false, err
		}
		for lane, fence := range taken {
			held[lane] = fence
		}
	}
	for lane, fence := range held {
		r.startWorker(lane, fence) //nolint:contextcheck // a worker outlives this look at the leases; stopWorker and stopAll end it
	}
	r.claim(held, until)
	return len(held) < share, nil
}

func (r *Relay) claim(held map[int16]int64, until time.Time) {
	c := claim{until: until}
	for lane := range held {
		c.lanes[lane] = true
	}
	r.claimed.Store(&c)
}

// holds tells whether a lane is this relay's now.
func (r *Relay) holds(lane int) bool {
	c := r.claimed.Load()
	return c != nil && c.lanes[lane] && time.Now().Before(c.until)
}

// staleLanes returns the lanes whose workers have ended or work for a lease that is no longer held.
func (r *Relay) staleLanes(held map[int16]int64) []int16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var stale []int16
	for lane, w := range r.workers {
		if fence, ok := held[lane]; !ok || fence != w.fence || w.ended() {
			stale = append(stale, lane)
		}
	}
	return stale
}

func (r *Relay) startWorker(lane int16, fence int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, running := r.workers[lane]; running {
		return
	}
	w := newWorker(r, lane, fence)
	r.workers[lane] = w
	w.start()
}

func (r *Relay) stopWorker(lane int16) {
	r.mu.Lock()
	w, running := r.workers[lane]
	delete(r.workers, lane)
	r.mu.Unlock()
	if running {
		w.stop()
	}
}

func (r *Relay) stopAll() {
	r.mu.Lock()
	workers := r.workers
	r.workers = make(map[int16]*worker)
	r.mu.Unlock()
	for _, w := range workers {
		w.quit()
	}
	for _, w := range workers {
		w.stop()
	}
}

// every runs a piece of upkeep from time to time until ctx ends.
func (r *Relay) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	for {
		bounded, cancel := context.WithTimeout(ctx, queryTimeout)
		err := do(bounded)
		cancel()
		if err != nil && ctx.Err() == nil {
			r.log.DebugContext(ctx, "upkeep failed, it is done again later", "what", what, "error", err)
		}
		if !wait(ctx, interval, nil) {
			return
		}
	}
}

// wait waits for d or a signal, and tells whether ctx goes on.
func wait(ctx context.Context, d time.Duration, signal <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-signal:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

//go:build integration

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tmaxmax/go-sse"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
)

const (
	// silence is how long a consumer hears nothing before it takes its connection for dead; a heartbeat comes every 15 s.
	silence   = 18 * time.Second
	reconnect = 200 * time.Millisecond
	// tail is how long a consumer goes on after its session's end; by far not all sessions of a long run are followed at the same time.
	tail      = 2 * time.Minute
	eventSize = 512 << 10
)

// consumers follow sessions, each by a stream of its own, and one follows all of them.
type consumers struct {
	stop    context.CancelFunc
	ctx     context.Context //nolint:containedctx // The consumers' own life, ended by stop.
	running sync.WaitGroup
	client  *http.Client

	mu  sync.Mutex
	all []*consumer
}

func newConsumers() *consumers {
	ctx, stop := context.WithCancel(context.Background())
	return &consumers{ctx: ctx, stop: stop, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// end ends all of them, and gives what they saw.
func (c *consumers) end() []history.Stream {
	c.stop()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	streams := make([]history.Stream, 0, len(c.all))
	for _, one := range c.all {
		one.mu.Lock() // Its tail may be over at this moment.
		streams = append(streams, one.Stream)
		one.mu.Unlock()
	}
	return streams
}

// consumer is one.
type consumer struct {
	url  string
	last string // the id to go on from
	stop context.CancelFunc

	mu sync.Mutex
	history.Stream
}

// given is how many events of a session it has, each counted once.
func (c *consumer) given(session string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for _, s := range c.Seen {
		if s.Session == session {
			seen[s.EventID] = true
		}
	}
	return len(seen)
}

// followed says whether it has not ended before its time.
func (c *consumer) followed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Whole
}

// follow begins to follow a session as its owner.
func (w *world) follow(owner, session string) {
	w.consume(&consumer{
		url: w.API.Base() + "/v1/call/sessions/" + session + "/events", Stream: history.Stream{Consumer: owner, Session: session, Whole: true},
	})
}

// watch begins to follow all sessions as the watcher; what is made after it has returned is seen.
func (w *world) watch(ctx context.Context) error {
	page, err := w.API.As(watcher).List(ctx, "", 1)
	if err != nil {
		return fmt.Errorf("listing the sessions to watch from: %w", err)
	}
	if page.EventsCursor == nil {
		return errors.New("the list's first page has no eventsCursor")
	}
	w.consume(&consumer{
		url: w.API.Base() + "/v1/call/events", last: *page.EventsCursor, Stream: history.Stream{Consumer: watcher, Whole: true},
	})
	return nil
}

func (w *world) consume(c *consumer) {
	ctx, stop := context.WithCancel(w.consumers.ctx)
	c.stop = stop
	w.consumers.mu.Lock()
	w.consumers.all = append(w.consumers.all, c)
	w.consumers.mu.Unlock()
	w.consumers.running.Go(func() {
		defer stop()
		for ctx.Err() == nil {
			w.connect(ctx, c)
			c.mu.Lock()
			c.Resumed++
			c.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(reconnect):
			}
		}
	})
}

// connect reads one connection to its end. One that is refused is tried again for the whole run; what is missing then the checker tells.
func (w *world) connect(ctx context.Context, c *consumer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("X-User-Id", c.Consumer)
	if c.last != "" {
		request.Header.Set("Last-Event-ID", c.last)
	}
	response, err := w.consumers.client.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	if response.StatusCode != http.StatusOK {
		return
	}
	for event, err := range sse.Read(&heard{body: response.Body, alive: alive}, &sse.ReadConfig{MaxEventSize: eventSize}) {
		if err != nil {
			return
		}
		w.take(c, event)
	}
}

// heard postpones the end of a connection by whatever comes, heartbeats too.
type heard struct {
	body  io.Reader
	alive *time.Timer
}

// Read implements io.Reader.
func (h *heard) Read(p []byte) (int, error) {
	n, err := h.body.Read(p)
	if n > 0 {
		h.alive.Reset(silence)
	}
	return n, err
}

// take notes one event.
func (w *world) take(c *consumer, event sse.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if event.LastEventID != "" {
		c.last = event.LastEventID
	}
	var envelope struct{ EventID, SessionID string }
	if err := json.Unmarshal([]byte(event.Data), &envelope); err != nil || envelope.EventID == "" {
		return // A user's stream begins with one that only has an id.
	}
	c.Seen = append(c.Seen, history.Seen{At: w.recorder.Now(), Session: envelope.SessionID, EventID: envelope.EventID, Raw: event.Data})
	if over := events.Type(event.Type); c.Session != "" && (over == events.CallEnded || over == events.CallFailed) {
		time.AfterFunc(tail, func() {
			c.mu.Lock()
			c.Whole = false
			c.mu.Unlock()
			c.stop()
		})
	}
}

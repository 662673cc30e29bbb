package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// delayed is how many seconds a webhook comes late at the most.
const delayed = 12

// Fate is what becomes of a webhook on its way.
type Fate int

// The fates of a webhook.
const (
	Pass   Fate = iota // it gets to the bridge
	Refuse             // it is answered 500, and will come again for a while
	Cut                // the connection ends without an answer, as where nobody is there; it comes again likewise
	Lose               // it is answered 200 and gets nowhere
	Delay              // it is answered 200 and gets to the bridge some seconds later, after others
	Twice              // it gets to the bridge, and once more some seconds later
)

// Webhook is what the tests see of one. The body, which holds a secret of the room, is not kept.
type Webhook struct {
	ID       string
	Event    string
	Room     string
	Identity string // "" where it is about the room alone
}

// WebhookProxy stands between LiveKit and a bridge.
type WebhookProxy struct {
	target  string
	client  *http.Client
	server  *http.Server
	end     chan struct{}  // closed when nothing is delayed any longer
	running sync.WaitGroup // of what is under way or delayed

	mu    sync.Mutex
	ended bool                          // nothing more is let in
	fates map[string]func(Webhook) Fate // by room
	seen  map[Fate][]Webhook
}

// newWebhookProxy listens on all addresses, since LiveKit calls it from its container, and passes webhooks on to target, the bridge's URL
// for them. It ends with the test.
func newWebhookProxy(t testing.TB, target string) (proxy *WebhookProxy, url string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatalf("listening for webhooks: %v", err)
	}
	p := &WebhookProxy{
		target: target, fates: map[string]func(Webhook) Fate{}, seen: map[Fate][]Webhook{},
		end:    make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: Patience},
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: Patience}
	p.running.Go(func() { _ = p.server.Serve(listener) }) // Ends with Close.
	t.Cleanup(p.close)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatalf("listening for webhooks: %v", err)
	}
	return p, "http://127.0.0.1:" + port + "/livekit/webhook"
}

func (p *WebhookProxy) close() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	_ = p.server.Close() // What is under way is cut off.
	close(p.end)
	p.running.Wait()
	p.client.CloseIdleConnections()
}

// enter says whether one more webhook may be under way; whoever is let in says when it is done.
func (p *WebhookProxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.running.Add(1)
	}
	return !p.ended
}

// Treat gives each webhook of a room, from now on, the fate that decide says.
func (p *WebhookProxy) Treat(room string, decide func(Webhook) Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fates[room] = decide
}

// Always is a decision that is the same for all.
func Always(fate Fate) func(Webhook) Fate { return func(Webhook) Fate { return fate } }

// Seen lists the webhooks of a room that had a fate so far, each attempt by itself.
func (p *WebhookProxy) Seen(room string, fate Fate) []Webhook {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.seen[fate]), func(w Webhook) bool { return w.Room != room })
}

// ServeHTTP implements http.Handler.
func (p *WebhookProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.enter() {
		panic(http.ErrAbortHandler)
	}
	defer p.running.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	webhook, err := readWebhook(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch p.fate(webhook) {
	case Refuse:
		http.Error(w, "refused by the test", http.StatusInternalServerError)
	case Cut:
		panic(http.ErrAbortHandler)
	case Lose:
	case Delay:
		p.running.Go(func() { p.passLater(r, body) })
	case Twice:
		p.running.Go(func() { p.passLater(r, body) })
		p.passNow(w, r, body)
	case Pass:
		p.passNow(w, r, body)
	}
}

func (p *WebhookProxy) passNow(w http.ResponseWriter, r *http.Request, body []byte) {
	status, err := p.pass(r.Context(), r, body)
	if err != nil {
		panic(http.ErrAbortHandler) // The bridge isn't there.
	}
	w.WriteHeader(status)
}

// passLater passes a webhook on after a while, until it is taken or the test has ended.
func (p *WebhookProxy) passLater(r *http.Request, body []byte) {
	ctx := context.WithoutCancel(r.Context())
	for {
		select {
		case <-p.end:
			return
		case <-time.After(time.Duration(1+rand.IntN(delayed)) * time.Second): //nolint:gosec // Not a secret.
		}
		if status, err := p.pass(ctx, r, body); err == nil && status == http.StatusOK {
			return
		}
	}
}

func (p *WebhookProxy) fate(w Webhook) Fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	fate := Pass
	if decide := p.fates[w.Room]; decide != nil {
		fate = decide(w)
	}
	p.seen[fate] = append(p.seen[fate], w)
	return fate
}

// pass sends the same request on and returns the status of the answer.
func (p *WebhookProxy) pass(ctx context.Context, r *http.Request, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("passing a webhook on: %w", err)
	}
	request.Header = r.Header.Clone()
	response, err := p.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("passing a webhook on: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, nil
}

func readWebhook(body []byte) (Webhook, error) {
	var read struct {
		ID    string `json:"id"`
		Event string `json:"event"`
		Room  struct {
			Name string `json:"name"`
		} `json:"room"`
		Participant struct {
			Identity string `json:"identity"`
		} `json:"participant"`
	}
	if err := json.Unmarshal(body, &read); err != nil {
		return Webhook{}, fmt.Errorf("reading a webhook: %w", err)
	}
	return Webhook{ID: read.ID, Event: read.Event, Room: read.Room.Name, Identity: read.Participant.Identity}, nil
}

package stack

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// dialPatience is how long a balancer waits for one of its replicas.
const dialPatience = 2 * time.Second

// Balancer stands before replicas: each connection goes to one of them, in turn, and where that one doesn't take it to the next.
type Balancer struct {
	listener net.Listener
	targets  []string
	running  sync.WaitGroup

	mu    sync.Mutex
	next  int
	ended bool
	open  map[net.Conn]struct{}
}

// Balance listens on an address (host:port) before targets (likewise). It ends with the test.
func Balance(t testing.TB, address string, targets ...string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("listening before replicas: %v", err)
	}
	b := &Balancer{listener: listener, targets: targets, open: map[net.Conn]struct{}{}}
	b.running.Go(b.accept)
	t.Cleanup(b.close)
}

func (b *Balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return // closed
		}
		b.running.Go(func() { b.pass(client) })
	}
}

// pass carries one connection to its end.
func (b *Balancer) pass(client net.Conn) {
	defer client.Close() //nolint:errcheck // It is over.
	server := b.dial()
	if server == nil {
		return
	}
	defer server.Close() //nolint:errcheck // It is over.
	if !b.opened(client, server) {
		return
	}
	defer b.closed(client, server)
	b.running.Go(func() {
		_, _ = io.Copy(server, client) // Ends when either side does.
		_ = server.Close()
	})
	_, _ = io.Copy(client, server) // Ends when either side does.
}

// dial connects to whose turn it is, or to the next that there is; nil where there is none.
func (b *Balancer) dial() net.Conn {
	b.mu.Lock()
	first := b.next
	b.next++
	b.mu.Unlock()
	for n := range b.targets {
		server, err := net.DialTimeout("tcp", b.targets[(first+n)%len(b.targets)], dialPatience) //nolint:noctx // It is bounded.
		if err == nil {
			return server
		}
	}
	return nil
}

func (b *Balancer) opened(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		b.open[conn] = struct{}{}
	}
	return !b.ended
}

func (b *Balancer) closed(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		delete(b.open, conn)
	}
}

func (b *Balancer) close() {
	_ = b.listener.Close() // Nothing is lost by it.
	b.mu.Lock()
	b.ended = true
	for conn := range b.open {
		_ = conn.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
}

package stack

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Cutter passes TCP connections on, and cuts each when so many bytes of the answer have passed as chance wants, wherever that is in it.
type Cutter struct {
	listener net.Listener
	target   string
	maxBytes int
	running  sync.WaitGroup

	mu    sync.Mutex
	left  int // cuts to come; then everything passes
	made  int
	ended bool
	open  map[net.Conn]struct{}
}

// NewCutter cuts connections to target (host:port) so many times, each after at most maxBytes. It ends with the test.
func NewCutter(t testing.TB, target string, cuts, maxBytes int) *Cutter {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for connections to cut: %v", err)
	}
	c := &Cutter{listener: listener, target: target, maxBytes: maxBytes, left: cuts, open: map[net.Conn]struct{}{}}
	c.running.Go(c.accept)
	t.Cleanup(c.close)
	return c
}

// URL is where to connect to.
func (c *Cutter) URL() string { return "http://" + c.listener.Addr().String() }

// Made is how many connections were cut.
func (c *Cutter) Made() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made
}

func (c *Cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return // closed
		}
		c.running.Go(func() { c.pass(client) })
	}
}

// pass carries one connection to its end, or to where it is cut.
func (c *Cutter) pass(client net.Conn) {
	defer client.Close() //nolint:errcheck // Cut off.
	server, err := (&net.Dialer{}).Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // Cut off.
	if !c.opened(client, server) {
		return
	}
	defer c.closed(client, server)
	c.running.Go(func() {
		_, _ = io.Copy(server, client) // Ends when either side does.
		_ = server.Close()
	})
	if !c.toCut() {
		_, _ = io.Copy(client, server) // Ends when either side does.
		return
	}
	_, err = io.CopyN(client, server, 1+rand.Int64N(int64(c.maxBytes))) //nolint:gosec // Not a secret.
	c.cut(err == nil)
}

// toCut takes one of the cuts that are left.
func (c *Cutter) toCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return false
	}
	c.left--
	return true
}

// cut counts a cut, or gives it back where the connection had ended by itself.
func (c *Cutter) cut(done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done {
		c.made++
	} else {
		c.left++
	}
}

func (c *Cutter) opened(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.open[conn] = struct{}{}
	}
	return !c.ended
}

func (c *Cutter) closed(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.open, conn)
	}
}

func (c *Cutter) close() {
	_ = c.listener.Close() // Nothing is lost by it.
	c.mu.Lock()
	c.ended = true
	for conn := range c.open {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.running.Wait()
}

//go:build integration

package rabbitmq

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/config"
)

// proxy stands between a connector and the broker, so that a test can cut and freeze what passes.
type proxy struct {
	t        testing.TB
	target   string
	listener net.Listener

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	down   bool
	thaw   chan struct{} // closed while bytes pass
	copies sync.WaitGroup
}

// newProxy returns a proxy to the broker of url, and url by way of it.
func newProxy(t testing.TB, brokerURL string) (*proxy, config.Secret) {
	t.Helper()
	u, err := url.Parse(brokerURL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	passing := make(chan struct{})
	close(passing)
	p := &proxy{t: t, target: u.Host, listener: listener, open: map[net.Conn]struct{}{}, thaw: passing}
	p.copies.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Thaw()
		p.Cut()
		p.copies.Wait()
	})
	u.Host = listener.Addr().String()
	return p, config.Secret(u.String())
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		if down {
			_ = client.Close()
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.copies.Go(func() { p.copy(client, server) })
		p.copies.Go(func() { p.copy(server, client) })
	}
}

func (p *proxy) copy(from, to net.Conn) {
	defer func() {
		_ = from.Close()
		_ = to.Close()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		thaw := p.thaw
		p.mu.Unlock()
		<-thaw
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Cut breaks every connection; new ones can be made.
func (p *proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		_ = conn.Close()
		delete(p.open, conn)
	}
}

// Down refuses new connections, and breaks the open ones.
func (p *proxy) Down() {
	p.mu.Lock()
	p.down = true
	p.mu.Unlock()
	p.Cut()
}

// Up takes connections again.
func (p *proxy) Up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

// Freeze holds back every byte, as a network does that has lost its way without a word.
func (p *proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thaw = make(chan struct{})
}

// Thaw lets bytes pass again.
func (p *proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.thaw:
	default:
		close(p.thaw)
	}
}

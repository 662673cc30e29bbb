package testkit

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// PGProxy stands between a service and PostgreSQL and follows what they say to each other, so that a test can break in between any two
// messages of a transaction.
type PGProxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu        sync.Mutex
	open      map[net.Conn]struct{}
	fault     *PGFault // the one that waits for its transaction
	following *pgFollowing
	anybodys  int // how many messages of the transaction that was followed came before the marker
}

// ProxyPostgres starts a proxy to the server of databaseURL, and returns that URL by way of it.
func ProxyPostgres(t testing.TB, databaseURL string) (proxy *PGProxy, by string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal("testkit: the database's URL can't be read")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Closed with the test.
	if err != nil {
		t.Fatalf("testkit: proxy: %v", err)
	}
	p := &PGProxy{target: u.Host, listener: listener, open: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Disconnect()
		p.running.Wait()
	})
	u.Host = listener.Addr().String()
	query := u.Query()
	query.Set("sslmode", "disable") // What is encrypted can't be followed.
	u.RawQuery = query.Encode()
	return p, u.String()
}

// Disconnect breaks every connection; new ones can be made. What comes next is said on a connection that knows nothing yet.
func (p *PGProxy) Disconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		_ = conn.Close()
	}
}

func (p *PGProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target) //nolint:noctx // Ended with the test.
		if err != nil {
			_ = client.Close()
			continue
		}
		link := &pgLink{proxy: p, client: client, server: server, prepared: map[string]string{}}
		p.mu.Lock()
		p.open[client], p.open[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.running.Go(func() { link.carry(client, server, true) })
		p.running.Go(func() { link.carry(server, client, false) })
	}
}

// PGFault breaks one connection at one step of a transaction.
type PGFault struct {
	marker []byte
	at     int
	hold   bool
	torn   bool

	hit     chan string
	dropped chan struct{}
	once    sync.Once
}

// Follow passes on everything, and yields the names of the messages of the next transaction in which the client says marker, from the one
// that begins it on; those that prepare statements are left out, as a connection that was used before needs none.
func (p *PGProxy) Follow(marker string) <-chan []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.following = &pgFollowing{marker: []byte(marker), steps: make(chan []string, 1)}
	return p.following.steps
}

// Cut breaks the connection of the next transaction that says marker instead of passing on its message number at, in whichever direction,
// as Follow counts them. Both ends get everything before. Messages that come before the marker are anybody's: there the next transaction
// that gets so far is meant.
func (p *PGProxy) Cut(marker string, at int) *PGFault {
	return p.arm(&PGFault{marker: []byte(marker), at: at})
}

// Tear is Cut, with the first half of the message passed on.
func (p *PGProxy) Tear(marker string, at int) *PGFault {
	return p.arm(&PGFault{marker: []byte(marker), at: at, torn: true})
}

// Hold is Cut for tests that end the client at that moment: nothing more passes, and the connection breaks with Drop.
func (p *PGProxy) Hold(marker string, at int) *PGFault {
	return p.arm(&PGFault{marker: []byte(marker), at: at, hold: true})
}

// HoldTorn is Hold, with the first half of the message passed on.
func (p *PGProxy) HoldTorn(marker string, at int) *PGFault {
	return p.arm(&PGFault{marker: []byte(marker), at: at, hold: true, torn: true})
}

func (p *PGProxy) arm(f *PGFault) *PGFault {
	f.hit, f.dropped = make(chan string, 1), make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	return f
}

// Hit yields the name of the message that was not passed on.
func (f *PGFault) Hit() <-chan string { return f.hit }

// Drop breaks a connection that is held.
func (f *PGFault) Drop() { f.once.Do(func() { close(f.dropped) }) }

// pgFollowing is the wish to know the messages of a transaction.
type pgFollowing struct {
	marker []byte
	steps  chan []string
}

// The first bytes of messages.
const (
	pgParse = 'P'
	pgReady = 'Z'
)

// pgLink is one connection, in two halves.
type pgLink struct {
	proxy          *PGProxy
	client, server net.Conn

	// Of the transaction that runs, under the proxy's lock:
	steps     []string
	said      []byte // by the client
	preparing bool
	followed  bool
	prepared  map[string]string // statements by their names
}

func (l *pgLink) close() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	for _, conn := range []net.Conn{l.client, l.server} {
		_ = conn.Close()
		delete(l.proxy.open, conn)
	}
}

// carry passes messages on until one side is gone, or the fault is reached.
func (l *pgLink) carry(from, to net.Conn, frontend bool) {
	defer l.close()
	reader := bufio.NewReader(from)
	typed := !frontend // A client's first message has no type.
	for {
		message, err := readPGMessage(reader, typed)
		if err != nil {
			return
		}
		if typed {
			if fault := l.proxy.follow(l, message, frontend); fault != nil {
				if fault.torn {
					_, _ = to.Write(message[:len(message)/2])
				}
				if fault.hold {
					<-fault.dropped
				}
				return
			}
		}
		if _, err := to.Write(message); err != nil {
			return
		}
		typed = true
	}
}

// readPGMessage reads one whole message: a type where it has one, its length, and its content.
func readPGMessage(reader *bufio.Reader, typed bool) ([]byte, error) {
	head := make([]byte, 5)
	if !typed {
		head = head[:4]
	}
	if _, err := io.ReadFull(reader, head); err != nil {
		return nil, fmt.Errorf("read a message: %w", err)
	}
	length := int(binary.BigEndian.Uint32(head[len(head)-4:]))
	if length < 4 || length > 64<<20 {
		return nil, fmt.Errorf("read a message: a length of %d", length)
	}
	content := make([]byte, length-4)
	if _, err := io.ReadFull(reader, content); err != nil {
		return nil, fmt.Errorf("read a message: %w", err)
	}
	return slices.Concat(head, content), nil
}

// follow counts a message of a transaction. It returns the fault where the message is not to pass.
func (p *PGProxy) follow(l *pgLink, message []byte, frontend bool) *PGFault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !l.counts(message, frontend) {
		return nil
	}
	l.steps = append(l.steps, l.nameOf(message, frontend))
	at := len(l.steps) - 1
	if frontend {
		l.said = append(l.said, message...)
	}
	if w := p.following; w != nil && !l.followed && bytes.Contains(l.said, w.marker) {
		l.followed, p.anybodys = true, at
	}
	if f := p.fault; f != nil && f.at == at && (at < p.anybodys || bytes.Contains(l.said, f.marker)) {
		p.fault = nil
		f.hit <- l.steps[at]
		return f
	}
	const idle = 'I'
	if !frontend && message[0] == pgReady && message[5] == idle {
		if l.followed {
			p.following.steps <- l.steps
			p.following = nil
		}
		l.steps, l.said, l.followed = nil, nil, false
	}
	return nil
}

// counts says whether a message is one of a transaction, other than those by which a statement is prepared.
func (l *pgLink) counts(message []byte, frontend bool) bool {
	l.remember(message, frontend)
	if len(l.steps) == 0 {
		return frontend && strings.HasPrefix(l.statement(message), "begin")
	}
	if l.preparing {
		l.preparing = frontend || message[0] != pgReady
		return false
	}
	l.preparing = frontend && message[0] == pgParse
	return !l.preparing
}

// remember keeps what a statement is prepared to say.
func (l *pgLink) remember(message []byte, frontend bool) {
	var parse pgproto3.Parse
	if frontend && message[0] == pgParse && parse.Decode(message[5:]) == nil {
		l.prepared[parse.Name] = parse.Query
	}
}

// statement returns what a client's message has the server execute, be it said there or prepared before; "" where it does not.
func (l *pgLink) statement(message []byte) string {
	var query pgproto3.Query
	var bind pgproto3.Bind
	switch {
	case message[0] == 'Q' && query.Decode(message[5:]) == nil:
		return query.String
	case message[0] == 'B' && bind.Decode(message[5:]) == nil:
		return l.prepared[bind.PreparedStatement]
	default:
		return ""
	}
}

// nameOf names a message by its type, or by its statement where that is a short one.
func (l *pgLink) nameOf(message []byte, frontend bool) string {
	if !frontend {
		return "to the client: " + string(message[:1])
	}
	if statement := l.statement(message); statement != "" && len(statement) <= len("rollback") {
		return "to the server: " + statement
	}
	return "to the server: " + string(message[:1])
}

package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/openapi/conformance"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi/apitest"
)

// TestAttack sends what the OpenAPI document describes, and what it does not. It runs for longer with -rapid.checks=10000, say.
func TestAttack(t *testing.T) {
	document, err := conformance.Load()
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		b := setup(t)
		health := httpserver.NewHealth(nil)
		health.Mount(b.engine)
		apitest.Attack(rt, document, 20, func(request *http.Request) (*http.Response, []byte) {
			answer := &wire{ResponseRecorder: httptest.NewRecorder()}
			b.engine.ServeHTTP(answer, request)
			answer.follow(request.Context())
			if request.Method == http.MethodHead {
				answer.Body.Reset() // as net/http does
			}
			return answer.Result(), answer.Body.Bytes()
		})
		if log := b.log.String(); len(log) > 0 {
			require.NotContains(rt, log, "level=ERROR")
			require.NotContains(rt, log, "panic")
		}
	})
}

// wire is a recorder with a connection that a stream can take over. The connection is there for nothing else.
type wire struct {
	*httptest.ResponseRecorder
	client net.Conn
	closed chan struct{} // when the server has closed its side
}

// Hijack implements http.Hijacker.
func (w *wire) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	server, client := net.Pipe()
	w.client, w.closed = client, make(chan struct{})
	side := &serverSide{Conn: server, closed: sync.OnceFunc(func() { close(w.closed) })}
	return side, bufio.NewReadWriter(bufio.NewReader(side), bufio.NewWriter(side)), nil
}

type serverSide struct {
	net.Conn
	closed func()
}

// Close implements net.Conn.
func (s *serverSide) Close() error {
	defer s.closed()
	return s.Conn.Close()
}

// follow records what a stream sends until ctx ends, and waits for its end.
func (w *wire) follow(ctx context.Context) {
	if w.client == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = w.client.Close() })
	defer stop()
	_, _ = io.Copy(w.Body, httputil.NewChunkedReader(w.client)) // It is cut nearly always.
	_ = w.client.Close()
	<-w.closed
}

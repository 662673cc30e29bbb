package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/libs/telemetry"
)

// streamed is a server whose limits for a request are over at once, and that serves what handle sends at /stream.
type streamed struct {
	server   *httpserver.Server
	registry *prometheus.Registry
	ended    chan error // with what each stream ended
	log      *lines
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with returns the lines that hold text.
func (l *lines) with(t *testing.T, text string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, text) {
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &fields))
			found = append(found, fields)
		}
	}
	return found
}

func streaming(t *testing.T, handle func(*httpserver.Stream) error) *streamed {
	t.Helper()
	s := &streamed{registry: prometheus.NewRegistry(), ended: make(chan error, 16), log: &lines{}}
	log, err := telemetry.NewLogger(s.log, telemetry.FormatJSON, "info", "test")
	require.NoError(t, err)
	engine := httpserver.NewEngine(httpserver.Options{Registerer: s.registry, HandlerTimeout: time.Millisecond, Log: log})
	engine.GET("/stream", func(c *gin.Context) {
		c.Request = c.Request.WithContext(telemetry.WithAttrs(c.Request.Context(), slog.String("thing_id", "one")))
		err := httpserver.BeginStream(c, 200*time.Millisecond, func(stream *httpserver.Stream) (err error) {
			defer func() { s.ended <- err }()
			return handle(stream)
		})
		if err != nil {
			httpserver.Fail(c, problem.Internal, err)
		}
	})
	s.server = httpserver.NewServer(httpserver.ServerOptions{
		Addr: "127.0.0.1:0", Handler: engine, ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond,
	})
	require.NoError(t, s.server.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.server.Shutdown(context.Background())) })
	return s
}

// ask opens a connection with a request for the stream on it.
func (s *streamed) ask(t *testing.T) net.Conn {
	t.Helper()
	return s.say(t, "GET /stream HTTP/1.1\r\nHost: test\r\nX-Request-Id: req-1\r\n\r\n")
}

func (s *streamed) say(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.server.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn
}

// answer reads a whole answer. err is that of its body.
func answer(t *testing.T, conn net.Conn) (response *http.Response, body string, err error) {
	t.Helper()
	response, err = http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}

func TestAStreamOutlivesTheLimitsOfARequest(t *testing.T) {
	s := streaming(t, func(stream *httpserver.Stream) error {
		select {
		case <-time.After(300 * time.Millisecond): // longer than every limit
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		_, err := io.WriteString(stream, "late")
		return err
	})
	response, body, err := answer(t, s.ask(t))
	require.NoError(t, err)
	require.NoError(t, <-s.ended)
	assert.Equal(t, "late", body)
	assert.Equal(t, "req-1", response.Header.Get("X-Request-Id"))
	families, err := s.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		assert.NotEqual(t, "http_server_request_duration_seconds", family.GetName(), "a stream has no duration to measure")
	}
}

// TestWhatAClientSeesOfAStream: head and parts come at once; that it is whole shows in the last chunk, and in HTTP/1.0 in the connection's
// end. Nothing else comes on the connection.
func TestWhatAClientSeesOfAStream(t *testing.T) {
	for version, chunked := range map[string]bool{"HTTP/1.1": true, "HTTP/1.0": false} {
		t.Run(version, func(t *testing.T) {
			next := make(chan string)
			s := streaming(t, func(stream *httpserver.Stream) error {
				for text := range next {
					if _, err := stream.WriteString(text); err != nil {
						return err
					}
					if err := stream.Flush(); err != nil {
						return err
					}
				}
				return nil
			})
			conn := s.say(t, "GET /stream "+version+"\r\nHost: test\r\nConnection: keep-alive\r\n\r\n")
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer response.Body.Close() //nolint:errcheck // Only read from.
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.True(t, response.Close, "the connection is not for another request")
			require.NotEmpty(t, response.Header.Get("Date"))
			require.Equal(t, chunked, len(response.TransferEncoding) > 0)
			for _, text := range []string{"one\n", strings.Repeat("x", 1<<20), "three"} {
				next <- text
				got := make([]byte, len(text))
				_, err = io.ReadFull(response.Body, got)
				require.NoError(t, err)
				require.Equal(t, text, string(got))
			}
			close(next)
			rest, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Empty(t, rest)
			_, err = conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

func TestAStreamIsLoggedAtItsEnd(t *testing.T) {
	s := streaming(t, func(stream *httpserver.Stream) error {
		_, err := stream.WriteString("four")
		return err
	})
	_, _, err := answer(t, s.ask(t))
	require.NoError(t, err)
	require.NoError(t, s.server.Shutdown(t.Context()))
	got := s.log.with(t, `"request"`)
	require.Len(t, got, 1)
	for name, value := range map[string]any{
		"route": "/stream", "path": "/stream", "method": "GET", "status": 200.0, "bytes": 4.0, "client": "127.0.0.1", "request_id": "req-1", "thing_id": "one",
	} {
		require.Equal(t, value, got[0][name], name)
	}
	require.NotContains(t, got[0], "error")
}

// TestAStreamThatFailsIsNotTakenForAWholeOne: with an error or a panic; what is written behind it is nobody's.
func TestAStreamThatFailsIsNotTakenForAWholeOne(t *testing.T) {
	for name, fail := range map[string]func() error{
		"panic": func() error { panic("boom") },
		"error": func() error { return errors.New("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			s := streaming(t, func(stream *httpserver.Stream) error {
				_, err := stream.WriteString("half")
				return errors.Join(err, stream.Flush(), fail())
			})
			_, body, err := answer(t, s.ask(t))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, "half", body)
			require.NoError(t, s.server.Shutdown(t.Context()))
			line := s.log.with(t, `"request"`)[0]
			require.Contains(t, line["error"], "boom")
			if panics := s.log.with(t, `"handler panicked"`); name == "panic" {
				require.Len(t, panics, 1)
				require.Contains(t, panics[0]["stack"], "stream_test.go")
				require.Equal(t, "req-1", panics[0]["request_id"])
			} else {
				require.Empty(t, panics)
			}
		})
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	began := make(chan struct{})
	s := streaming(t, func(stream *httpserver.Stream) error {
		close(began)
		<-stream.Context().Done()
		return stream.Context().Err()
	})
	conn := s.ask(t)
	<-began
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-s.ended, context.Canceled)
}

// TestAClientThatSendsMore: what comes behind the request is neither read nor answered, and that the client is gone shows with a write.
func TestAClientThatSendsMore(t *testing.T) {
	const request = "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n"
	for name, later := range map[string]bool{"with the request": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			more := make(chan struct{})
			s := streaming(t, func(stream *httpserver.Stream) error {
				<-more
				for {
					if _, err := stream.WriteString("x"); err != nil {
						return err
					}
					if err := stream.Flush(); err != nil {
						return err
					}
				}
			})
			text := request + request
			if later {
				text = request
			}
			conn := s.say(t, text)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer response.Body.Close() //nolint:errcheck // Only read from.
			if later {
				_, err = io.WriteString(conn, request)
				require.NoError(t, err)
			}
			close(more)
			got := make([]byte, 3)
			_, err = io.ReadFull(response.Body, got)
			require.NoError(t, err)
			require.Equal(t, "xxx", string(got))
			require.NoError(t, conn.Close())
			require.Error(t, <-s.ended)
		})
	}
}

func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	s := streaming(t, func(stream *httpserver.Stream) error {
		part := strings.Repeat("x", 1<<20)
		for {
			if _, err := io.WriteString(stream, part); err != nil {
				return err
			}
		}
	})
	conn := s.ask(t)
	var timeout net.Error
	require.ErrorAs(t, <-s.ended, &timeout)
	require.True(t, timeout.Timeout())
	_, _, err := answer(t, conn)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "what was sent is not a whole answer")
}

// TestShutdownWaitsForStreams: they are told of it, and what they say last arrives.
func TestShutdownWaitsForStreams(t *testing.T) {
	draining, began := make(chan struct{}), make(chan struct{})
	s := streaming(t, func(stream *httpserver.Stream) error {
		close(began)
		<-draining
		_, err := stream.WriteString("bye")
		return err
	})
	conn := s.ask(t)
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		other, err := net.Dial("tcp", s.server.Addr())
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	}, 5*time.Second, 5*time.Millisecond, "no new connections")
	require.Empty(t, stopped)
	close(draining)
	_, body, err := answer(t, conn)
	require.NoError(t, err)
	require.Equal(t, "bye", body)
	require.NoError(t, <-stopped)
	require.Len(t, s.log.with(t, `"request"`), 1, "the stream's line is written by then")
}

func TestShutdownCutsStreamsThatDoNotEnd(t *testing.T) {
	began := make(chan struct{})
	s := streaming(t, func(stream *httpserver.Stream) error {
		close(began)
		<-stream.Context().Done()
		return stream.Context().Err()
	})
	conn := s.ask(t)
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.server.Shutdown(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, <-s.ended, context.Canceled)
	_, _, err := answer(t, conn)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// TestAStreamNeedsAConnection: where there is none to take over, nothing was sent and the handler can say so.
func TestAStreamNeedsAConnection(t *testing.T) {
	s := newSetup(t, nil)
	s.engine.GET("/stream", func(c *gin.Context) {
		err := httpserver.BeginStream(c, time.Second, func(*httpserver.Stream) error { panic("not to be called") })
		assert.ErrorIs(t, err, http.ErrNotSupported)
		httpserver.Fail(c, problem.Internal, err)
	})
	requireProblem(t, s.do(t, http.MethodGet, "/stream", ""), http.StatusInternalServerError, "internal")
}

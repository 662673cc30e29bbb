package httpserver

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/telemetry"
)

// Stream is an answer that goes on for as long as client and server want. It is for one goroutine.
//
// Many are open at once and rest nearly always. So a stream has its connection for itself, and keeps neither the request, its context and
// span nor the stack of its handlers; a buffer it has only from a write to the next flush.
type Stream struct {
	ctx     context.Context
	gone    context.CancelFunc // ends ctx
	conn    net.Conn
	timeout time.Duration // of a write
	chunked bool          // HTTP/1.1; before that the end of the connection ends the answer
	spoke   bool          // the client has sent more than its request
	out     *bufio.Writer // nil while nothing waits to be sent
	sent    int           // bytes
	serve   func(*Stream) error
	ended   func(s *Stream, err error) // writes the access log's line
	server  *openStreams
}

// BeginStream makes the request's answer a stream and sends its head, with the headers set so far, at once. When the handlers of the request
// have returned, which must write nothing more, serve goes on in a goroutine of its own. The limits for a whole request and the metric of its
// duration are not for what it does; instead the client must take each write within writeTimeout, or it is cut off. When serve returns nil,
// the client is shown that the answer is whole; after an error, which goes to the access log, or a panic, that it is not. Afterwards the
// connection is closed. The engine must be one of NewEngine. An error means that serve will not be called: http.ErrNotSupported where
// nothing was sent yet, as in a test without a network.
func BeginStream(c *gin.Context, writeTimeout time.Duration, serve func(*Stream) error) error {
	hijacker, ok := beneath(c.Writer).(http.Hijacker)
	if !ok {
		return fmt.Errorf("begin a stream: %w", http.ErrNotSupported)
	}
	s := &Stream{timeout: writeTimeout, chunked: c.Request.ProtoAtLeast(1, 1), serve: serve, server: streamsOf(c.Request.Context())}
	c.Header("Connection", "close")
	c.Writer.WriteHeader(http.StatusOK)
	c.Writer.WriteHeaderNow()
	s.server.begin() // before net/http forgets the connection
	conn, received, err := hijacker.Hijack()
	if err != nil {
		s.server.end(s)
		return fmt.Errorf("begin a stream: %w", err)
	}
	s.conn, s.spoke = conn, received.Reader.Buffered() > 0
	s.ctx, s.gone = context.WithCancel(telemetry.Detach(c.Request.Context()))
	s.server.hold(s)
	c.Set(streamKey, s)
	return nil
}

// beneath returns what gin's writer writes to; gin claims of every writer that its connection can be taken over.
func beneath(w http.ResponseWriter) http.ResponseWriter {
	if inner, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return inner.Unwrap()
	}
	return w
}

const streamKey = "httpserver.stream"

// begun returns the stream that the request's answer became, nil where it is an ordinary one.
func begun(c *gin.Context) *Stream {
	value, _ := c.Get(streamKey)
	s, _ := value.(*Stream)
	return s
}

// streams lets the streams go on that handlers began. It is outside of all other middleware, which has then seen the request's end.
func streams(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() { // Also where a handler panicked afterwards: what it handed over is to be freed.
			if s := begun(c); s != nil {
				go s.run(log)
			}
		}()
		c.Next()
	}
}

func (s *Stream) run(log *slog.Logger) {
	defer s.server.end(s)
	go s.watch()
	err := s.served(log)
	if err == nil && s.ctx.Err() == nil {
		err = s.finish()
	}
	s.gone()
	_ = s.conn.Close() // Ends watch.
	s.ended(s, err)
}

func (s *Stream) served(log *slog.Logger) (err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = panicked(s.ctx, log, failure)
		}
	}()
	return s.serve(s)
}

// watch ends the context when the client is gone. A client that sends what nobody asked for is not read further, so that it makes no work;
// that it is gone then shows with the next write.
func (s *Stream) watch() {
	if s.spoke {
		return
	}
	if _, err := s.conn.Read(make([]byte, 1)); err != nil {
		s.gone()
	}
}

// Context ends when the client is gone. Its log lines carry what those of the request did.
func (s *Stream) Context() context.Context { return s.ctx }

// buffers are shared by the streams that are sending.
var buffers = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}

func (s *Stream) buffer() *bufio.Writer {
	if s.out == nil {
		s.out, _ = buffers.Get().(*bufio.Writer)
		s.out.Reset((*wire)(s))
	}
	return s.out
}

// Write implements io.Writer. What it takes is sent with the next Flush, or before.
func (s *Stream) Write(p []byte) (int, error) {
	return s.buffer().Write(p) //nolint:wrapcheck // io.Writer's own errors.
}

// WriteString implements io.StringWriter.
func (s *Stream) WriteString(text string) (int, error) {
	return s.buffer().WriteString(text) //nolint:wrapcheck // As of Write.
}

// Flush sends what was written.
func (s *Stream) Flush() error {
	if s.out == nil {
		return nil
	}
	err := s.out.Flush()
	s.out.Reset(nil)
	buffers.Put(s.out)
	s.out = nil
	if err != nil {
		return fmt.Errorf("send a part of a stream: %w", err)
	}
	return nil
}

// finish shows the client that the answer is whole.
func (s *Stream) finish() error {
	if err := s.Flush(); err != nil || !s.chunked {
		return err
	}
	return (*wire)(s).send([]byte("0\r\n\r\n"))
}

// wire is a stream to its buffer: what is written goes to the connection at once.
type wire Stream

// Write implements io.Writer: with a chunk (RFC 9112, section 7.1) for a client that knows them.
func (w *wire) Write(p []byte) (int, error) {
	var err error
	if w.chunked {
		err = w.send(fmt.Appendf(nil, "%x\r\n", len(p)), p, []byte("\r\n"))
	} else {
		err = w.send(p)
	}
	if err != nil {
		return 0, err
	}
	w.sent += len(p)
	return len(p), nil
}

// send cuts a client off that does not take it in time. Nothing can follow a chunk of which a part was sent.
func (w *wire) send(parts ...[]byte) error {
	err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
	if err == nil {
		_, err = (*net.Buffers)(&parts).WriteTo(w.conn)
	}
	if err != nil {
		w.gone()
		_ = w.conn.Close() // It is of no use any more.
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
}

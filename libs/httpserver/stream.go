package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Stream is an answer that goes on for as long as client and handler want. It is for one goroutine.
type Stream struct {
	ctx     context.Context
	writer  gin.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// BeginStream makes the request's answer a stream and sends its head, with the headers set so far, at once. The limits for a whole request
// end here: those of the server, of the handler's context (see Context), and its duration is no longer measured. In their place each write
// must be taken within writeTimeout. Where the connection has no deadlines, as in a test without a network, nothing is bounded.
func BeginStream(c *gin.Context, writeTimeout time.Duration) (*Stream, error) {
	if unlimited, ok := c.Request.Context().Value(unlimitedKey{}).(context.Context); ok {
		c.Request = c.Request.WithContext(unlimited)
	}
	c.Set(streamKey, true)
	s := &Stream{ctx: c.Request.Context(), writer: c.Writer, control: http.NewResponseController(c.Writer), timeout: writeTimeout}
	// Without this the server would take the end of its time to read a request for the client's going.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("begin a stream: %w", err)
	}
	if err := s.extend(); err != nil {
		return nil, err
	}
	c.Writer.WriteHeader(http.StatusOK)
	c.Writer.WriteHeaderNow()
	return s, s.Flush()
}

// Context ends when the client is gone.
func (s *Stream) Context() context.Context { return s.ctx }

// Write implements io.Writer. A client that does not take it in time has its connection cut.
func (s *Stream) Write(p []byte) (int, error) {
	if err := s.extend(); err != nil {
		return 0, err
	}
	return s.writer.Write(p) //nolint:wrapcheck // io.Writer's own errors.
}

// Flush sends what was written.
func (s *Stream) Flush() error {
	if err := s.extend(); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("send a part of a stream: %w", err)
	}
	return nil
}

func (s *Stream) extend() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("bound a write: %w", err)
	}
	return nil
}

const streamKey = "httpserver.stream"

// isStream tells whether the request's answer was a stream.
func isStream(c *gin.Context) bool { return c.GetBool(streamKey) }

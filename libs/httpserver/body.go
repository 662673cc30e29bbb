package httpserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/problem"
)

// drained is how much of a body that is too large is read and thrown away. Many clients look for an answer only when they have sent
// everything; one whose connection ends before sees a broken pipe instead of the refusal.
const drained = 16 << 20

// MaxBody bounds what a handler reads of a request's body, in bytes. A larger one fails in the handler's read, with an error for
// BodyProblem; nothing of it is given to the handler where its size was announced. On a route it takes the place of the engine's own limit.
func MaxBody(limit int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		body := c.Request.Body
		if inner, ok := body.(*limitedBody); ok {
			body = inner.unlimited
		}
		c.Request.Body = &limitedBody{
			ReadCloser: http.MaxBytesReader(c.Writer, body, limit), unlimited: body, limit: limit,
			announced: c.Request.ContentLength, awaitsGoAhead: c.GetHeader("Expect") != "",
		}
		c.Next()
	}
}

// limitedBody remembers the body under the limit, so that a route can set another one.
type limitedBody struct {
	io.ReadCloser
	unlimited io.ReadCloser
	limit     int64
	announced int64
	// awaitsGoAhead is whether the client sends the body only when told to (RFC 9110, 10.1.1); reading would tell it.
	awaitsGoAhead bool
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.announced > b.limit {
		if !b.awaitsGoAhead {
			b.drain()
		}
		return 0, &http.MaxBytesError{Limit: b.limit}
	}
	n, err := b.ReadCloser.Read(p)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		b.drain()
	}
	return n, err //nolint:wrapcheck // io.Reader's own errors, io.EOF among them.
}

// drain lets the client finish sending, within bounds; the server's read timeout bounds the time.
func (b *limitedBody) drain() {
	_, _ = io.CopyN(io.Discard, b.unlimited, drained) // Whether it could or not, the answer is the same.
}

// BodyProblem returns the problem of an error that reading a request's body gave: 413 payload_too_large, or 400 where the body did not arrive
// whole or in time. ok is false for any other error.
func BodyProblem(err error) (p problem.Problem, ok bool) {
	var tooLarge *http.MaxBytesError
	var netErr net.Error
	switch {
	case errors.As(err, &tooLarge):
		return problem.PayloadTooLarge.WithDetail(fmt.Sprintf("At most %d bytes are accepted.", tooLarge.Limit)), true
	case errors.As(err, &netErr) && netErr.Timeout():
		return problem.InvalidRequest.WithDetail("The body did not arrive in time.").WithRetry(), true
	case errors.Is(err, io.ErrUnexpectedEOF):
		return problem.InvalidRequest.WithDetail("The body ended early."), true
	default:
		return problem.Problem{}, false
	}
}

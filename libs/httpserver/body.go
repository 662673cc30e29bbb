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

// MaxBody bounds what is read of a request's body, in bytes. A body that announces to be larger is refused unread; one that turns out larger
// fails in the handler's read, with an error for BodyProblem. On a route it takes the place of the engine's own limit.
func MaxBody(limit int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		body := c.Request.Body
		if inner, ok := body.(*limitedBody); ok {
			body = inner.unlimited
		}
		c.Request.Body = &limitedBody{ReadCloser: http.MaxBytesReader(c.Writer, body, limit), unlimited: body, limit: limit, announced: c.Request.ContentLength}
		c.Next()
	}
}

// limitedBody remembers the body under the limit, so that a route can set another one.
type limitedBody struct {
	io.ReadCloser
	unlimited io.ReadCloser
	limit     int64
	announced int64
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.announced > b.limit {
		return 0, &http.MaxBytesError{Limit: b.limit}
	}
	return b.ReadCloser.Read(p) //nolint:wrapcheck // io.Reader's own errors, io.EOF among them.
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

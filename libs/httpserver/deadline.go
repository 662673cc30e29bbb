package httpserver

import (
	"context"
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/problem"
)

// deadline ends the context of a handler after limit. A handler that gives up because of it without an answer of its own has answered 503.
// Streams that handlers begin go on without it.
func deadline(limit time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), limit)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && !c.Writer.Written() {
			Fail(c, problem.Timeout, ctx.Err())
		}
	}
}

package httpserver

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/problem"
)

// recovery turns a panic of a handler into a 500, and into a cut connection where an answer has begun already: a client must not take half an
// answer for a whole one.
func recovery(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			failure := recover()
			if failure == nil {
				return
			}
			if failure == http.ErrAbortHandler { //nolint:errorlint // net/http compares the value itself too.
				panic(failure)
			}
			err := panicked(c.Request.Context(), log, failure)
			if c.Writer.Written() {
				panic(http.ErrAbortHandler)
			}
			Fail(c, problem.Internal, err)
		}()
		c.Next()
	}
}

// panicked logs what a handler panicked with, from where, and returns it as an error. It is to be called by the deferred function that recovers.
func panicked(ctx context.Context, log *slog.Logger, failure any) error {
	log.ErrorContext(ctx, "handler panicked", slog.String("panic", fmt.Sprint(failure)), slog.String("stack", string(debug.Stack())))
	return fmt.Errorf("panic: %v", failure)
}

package httpserver

import (
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
			log.ErrorContext(c.Request.Context(), "handler panicked",
				slog.String("panic", fmt.Sprint(failure)), slog.String("stack", string(debug.Stack())))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler)
			}
			Fail(c, problem.Internal, fmt.Errorf("panic: %v", failure))
		}()
		c.Next()
	}
}

package httpserver

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
)

// accessLog writes one line a request, without its query and headers, which may hold secrets. The cause that Fail was given is on it: that
// is where an error is logged, once.
func accessLog(log *slog.Logger, quiet []string) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		defer func() { // Also of a handler that was ended by a panic.
			status := c.Writer.Status()
			attrs := []slog.Attr{
				slog.String("method", c.Request.Method),
				slog.String("route", c.FullPath()),
				slog.String("path", c.Request.URL.EscapedPath()),
				slog.Int("status", status),
				slog.Int("bytes", max(0, c.Writer.Size())),
				slog.Duration("duration", time.Since(start)),
				slog.String("client", c.ClientIP()),
			}
			if last := c.Errors.Last(); last != nil {
				attrs = append(attrs, slog.String("error", last.Err.Error()))
			}
			log.LogAttrs(c.Request.Context(), accessLevel(status, slices.Contains(quiet, c.FullPath())), "request", attrs...)
		}()
		c.Next()
	}
}

func accessLevel(status int, quiet bool) slog.Level {
	switch {
	case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
		return slog.LevelError
	case status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	case quiet:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

package httpserver

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
)

// accessLog writes one line a request, without its query and headers, which may hold secrets; for a stream at its end. The cause that Fail
// was given is on it: that is where an error is logged, once.
func accessLog(log *slog.Logger, quiet []string) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		defer func() { // Also of a handler that was ended by a panic.
			line := accessLine{
				start: start, method: c.Request.Method, route: c.FullPath(), path: c.Request.URL.EscapedPath(), status: c.Writer.Status(),
				client: c.ClientIP(), quiet: slices.Contains(quiet, c.FullPath()),
			}
			if stream := begun(c); stream != nil {
				stream.ended = func(s *Stream, err error) { line.write(s.ctx, log, s.sent, err) }
				return
			}
			var err error
			if last := c.Errors.Last(); last != nil {
				err = last.Err
			}
			line.write(c.Request.Context(), log, max(0, c.Writer.Size()), err)
		}()
		c.Next()
	}
}

// accessLine is what is known of a request before its end.
type accessLine struct {
	start                       time.Time
	method, route, path, client string
	status                      int
	quiet                       bool
}

func (l accessLine) write(ctx context.Context, log *slog.Logger, bytes int, err error) {
	attrs := []slog.Attr{
		slog.String("method", l.method),
		slog.String("route", l.route),
		slog.String("path", l.path),
		slog.Int("status", l.status),
		slog.Int("bytes", bytes),
		slog.Duration("duration", time.Since(l.start)),
		slog.String("client", l.client),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	log.LogAttrs(ctx, accessLevel(l.status, l.quiet), "request", attrs...)
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

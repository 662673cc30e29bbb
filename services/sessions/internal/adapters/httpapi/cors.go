package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"

	"github.com/callplane/callplane/libs/httpserver"
)

// What web pages of other origins may send and see, beside what every page may (Fetch standard, sections 2.2.2 and 3.3.2).
var (
	crossMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	crossHeaders = []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", httpserver.RequestIDHeader, "traceparent"}
	crossExposed = []string{"ETag", "Location", "Retry-After", "Idempotency-Replayed", httpserver.RequestIDHeader}
)

// preflightAge is how long a browser may keep the answer to a preflight.
const preflightAge = 10 * time.Minute

// crossOrigin lets web pages of exactly these origins use the API from a browser, without cookies. Every answer to them says so, errors too.
// Other origins are answered like programs, which no browser shows to a page.
func crossOrigin(origins []string, headers ...string) gin.HandlerFunc {
	headers = append(slices.Clone(crossHeaders), headers...)
	rules := cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool { return slices.Contains(origins, origin) },
		AllowedMethods:  crossMethods,
		AllowedHeaders:  headers,
		ExposedHeaders:  crossExposed,
		MaxAge:          int(preflightAge.Seconds()),
	})
	slices.SortFunc(headers, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	everyHeader := strings.ToLower(strings.Join(headers, ","))
	return func(c *gin.Context) {
		preflight := c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != ""
		if preflight {
			// The answer names all headers, whatever was asked for: the browser compares, and keeps it for other requests.
			c.Request.Header.Set("Access-Control-Request-Headers", everyHeader)
		}
		rules.HandlerFunc(c.Writer, c.Request)
		if preflight {
			c.Abort()
			return
		}
		c.Next()
	}
}

// Package httpserver is the HTTP side of a service apart from its routes: a gin engine whose every answer of its own is an RFC 9457 problem,
// servers that start and drain in order, health endpoints and the admin endpoints.
package httpserver

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/callplane/callplane/libs/problem"
)

// Options shape an engine. A zero field takes the default in brackets.
type Options struct {
	Service        string // names spans
	Log            *slog.Logger
	Registerer     prometheus.Registerer // nil: no metrics
	TrustedProxies []netip.Prefix        // whose X-Forwarded-For counts [none]
	MaxBody        int64                 // bytes of a request's body [64 KiB]; MaxBody as a route's middleware raises it
	HandlerTimeout time.Duration         // for a handler's context [15 s]
	QuietPaths     []string              // logged at level debug while they succeed [/livez, /readyz]
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 10
	}
	if o.HandlerTimeout == 0 {
		o.HandlerTimeout = 15 * time.Second
	}
	if o.QuietPaths == nil {
		o.QuietPaths = []string{LivePath, ReadyPath}
	}
	return o
}

// NewEngine returns an engine with, from the outside in: what lets streams go on (BeginStream), request id, trace, access log, metrics, recovery from panics, the limit of the body
// and the deadline of the handler. Unknown routes and wrong methods answer 404 not_found and 405 method_not_allowed. Path
// parameters are unescaped after routing, so that one may hold a slash.
func NewEngine(options Options) *gin.Engine {
	options = options.withDefaults()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false // A redirect would be an answer that is no problem.
	engine.UseRawPath = true
	engine.ContextWithFallback = true
	proxies := make([]string, 0, len(options.TrustedProxies))
	for _, prefix := range options.TrustedProxies {
		proxies = append(proxies, prefix.String())
	}
	_ = engine.SetTrustedProxies(proxies) // Fails on text that is no prefix only.
	engine.Use(
		streams(options.Log),
		requestID(),
		tracing(options.Service),
		traceID(),
		accessLog(options.Log, options.QuietPaths),
		metrics(options.Registerer),
		recovery(options.Log),
		MaxBody(options.MaxBody),
		deadline(options.HandlerTimeout),
	)
	engine.NoRoute(func(c *gin.Context) { Fail(c, problem.NotFound.WithDetail("There is nothing at this path."), nil) })
	engine.NoMethod(func(c *gin.Context) {
		Fail(c, problem.MethodNotAllowed.WithDetail("The Allow header lists the methods of this path."), nil)
	})
	return engine
}

// Fail answers with a problem and ends the handling of the request. cause, where it isn't nil, goes to the access log's line and the trace,
// never to the client; it must hold no secret.
func Fail(c *gin.Context, p problem.Problem, cause error) {
	if cause != nil {
		_ = c.Error(cause)
	}
	c.Abort()
	if !c.Writer.Written() {
		problem.Write(c.Writer, c.Request, p)
		c.Writer.WriteHeaderNow() // also where there is no body (HEAD): gin would take a 404 or 405 for one that it has to write
	}
}

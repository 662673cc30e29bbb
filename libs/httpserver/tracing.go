package httpserver

import (
	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/otel/trace"

	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/libs/telemetry"
)

// tracing makes each request a span of the caller's trace, or of a new one.
func tracing(service string) gin.HandlerFunc {
	return otelgin.Middleware(service)
}

// traceID lets problems name the trace. It runs inside the span of tracing.
func traceID() gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		if span := trace.SpanContextFromContext(ctx); span.IsValid() {
			c.Request = c.Request.WithContext(problem.Annotate(ctx, telemetry.RequestID(ctx), span.TraceID().String()))
		}
		c.Next()
	}
}

package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

type requestIDKey struct{}

// WithRequestID returns a context whose log lines carry the id of the request that they belong to.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id that WithRequestID put into ctx, empty where there is none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

type attrsKey struct{}

// WithAttrs returns a context whose log lines carry further attributes, such as the id of what is being worked on. They come after those
// that ctx has already; one with the key of an earlier one takes its place.
func WithAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	known, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	merged := make([]slog.Attr, 0, len(known)+len(attrs))
	for _, old := range known {
		if !hasKey(attrs, old.Key) {
			merged = append(merged, old)
		}
	}
	return context.WithValue(ctx, attrsKey{}, append(merged, attrs...))
}

func hasKey(attrs []slog.Attr, key string) bool {
	for _, a := range attrs {
		if a.Key == key {
			return true
		}
	}
	return false
}

// Detach returns a context whose log lines and spans belong where those of ctx do. It holds nothing else of ctx, does not end with it, and
// keeps no span open: it is for what goes on for long after a request.
func Detach(ctx context.Context) context.Context {
	detached := trace.ContextWithSpanContext(context.Background(), trace.SpanContextFromContext(ctx))
	if id := RequestID(ctx); id != "" {
		detached = WithRequestID(detached, id)
	}
	if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		detached = WithAttrs(detached, attrs...)
	}
	return detached
}

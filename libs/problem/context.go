package problem

import (
	"context"
	"net/http"
)

type idsKey struct{}

type ids struct{ request, trace string }

// Annotate returns a context whose problems carry a request id and a trace id; either may be empty.
func Annotate(ctx context.Context, requestID, traceID string) context.Context {
	return context.WithValue(ctx, idsKey{}, ids{requestID, traceID})
}

func (p Problem) annotated(r *http.Request) Problem {
	if p.Instance == "" && r.URL != nil {
		p.Instance = r.URL.EscapedPath()
	}
	known, _ := r.Context().Value(idsKey{}).(ids)
	if p.RequestID == "" {
		p.RequestID = known.request
	}
	if p.TraceID == "" {
		p.TraceID = known.trace
	}
	return p
}

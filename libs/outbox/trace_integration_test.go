//go:build integration

package outbox

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"
)

// Every row has a trace: that of what caused it, or one that it shares with what is inserted at the same time.
func TestWhatNothingHasCausedBeginsATrace(t *testing.T) {
	before, provider := otel.GetTracerProvider(), sdktrace.NewTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() {
		otel.SetTracerProvider(before)
		require.NoError(t, provider.Shutdown(context.Background()))
	})
	db := open(t, database(t))
	require.NoError(t, say(db, "timer", 2))
	own := tracesOf(t, db, "timer")
	require.Len(t, own, 2)
	assert.True(t, own[0].IsValid())
	assert.Equal(t, own[0], own[1])
	require.NoError(t, say(db, "another", 1))
	assert.NotEqual(t, own[0], tracesOf(t, db, "another")[0])

	ctx, span := provider.Tracer("test").Start(t.Context(), "a request")
	defer span.End()
	require.NoError(t, say(db.WithContext(ctx), "request", 1))
	assert.Equal(t, []trace.TraceID{span.SpanContext().TraceID()}, tracesOf(t, db, "request"))
}

func tracesOf(t *testing.T, db *gorm.DB, key string) []trace.TraceID {
	t.Helper()
	var stored []string
	require.NoError(t, db.Raw("SELECT headers FROM outbox WHERE partition_key = ? ORDER BY id", key).Scan(&stored).Error)
	traces := make([]trace.TraceID, len(stored))
	for i, text := range stored {
		headers := propagation.MapCarrier{}
		require.NoError(t, json.Unmarshal([]byte(text), &headers))
		traces[i] = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), headers)).TraceID()
	}
	return traces
}

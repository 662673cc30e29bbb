package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/libs/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLogLinesCarryWhatTheContextKnows(t *testing.T) {
	var output bytes.Buffer
	log, err := telemetry.NewLogger(&output, telemetry.FormatJSON, "info", "test")
	require.NoError(t, err)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	ctx = telemetry.WithRequestID(ctx, "req-1")
	ctx = telemetry.WithAttrs(ctx, slog.String("thing_id", "old"), slog.Int("lane", 3))
	inner := telemetry.WithAttrs(ctx, slog.String("thing_id", "new"))
	log.With("a", 1).InfoContext(inner, "hello")
	log.DebugContext(inner, "too low")

	var line map[string]any
	require.NoError(t, json.Unmarshal(output.Bytes(), &line), "one line: %s", output.String())
	delete(line, "time")
	assert.Equal(t, map[string]any{
		"level": "INFO", "msg": "hello", "service": "test", "a": 1.0,
		"trace_id": "01000000000000000000000000000000", "span_id": "0200000000000000",
		"request_id": "req-1", "thing_id": "new", "lane": 3.0,
	}, line)
	assert.Equal(t, "req-1", telemetry.RequestID(inner))
	assert.Empty(t, telemetry.RequestID(t.Context()))

	output.Reset()
	log.InfoContext(ctx, "outer")
	assert.Contains(t, output.String(), `"thing_id":"old"`, "the inner context changed only itself")
	output.Reset()
	log.Info("bare")
	assert.NotContains(t, output.String(), "trace_id")
}

// TestDetachKeepsWhatLogLinesTell: and neither the context's end nor anything else that it holds.
func TestDetachKeepsWhatLogLinesTell(t *testing.T) {
	var output bytes.Buffer
	log, err := telemetry.NewLogger(&output, telemetry.FormatJSON, "info", "test")
	require.NoError(t, err)
	type key struct{}
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	ctx, cancel := context.WithCancel(context.WithValue(trace.ContextWithSpanContext(t.Context(), span), key{}, "heavy"))
	ctx = telemetry.WithAttrs(telemetry.WithRequestID(ctx, "req-1"), slog.String("thing_id", "one"))
	detached := telemetry.Detach(ctx)
	cancel()
	require.NoError(t, detached.Err())
	require.Nil(t, detached.Value(key{}))
	log.InfoContext(detached, "later")
	for _, want := range []string{`"trace_id":"01`, `"span_id":"02`, `"request_id":"req-1"`, `"thing_id":"one"`} {
		require.Contains(t, output.String(), want)
	}
	output.Reset()
	log.InfoContext(telemetry.Detach(t.Context()), "bare")
	require.NotContains(t, output.String(), "_id")
}

func TestNewLoggerRefusesWhatItDoesNotKnow(t *testing.T) {
	_, err := telemetry.NewLogger(io.Discard, "xml", "info", "test")
	require.ErrorContains(t, err, "use json or text")
	_, err = telemetry.NewLogger(io.Discard, telemetry.FormatText, "loud", "test")
	require.ErrorContains(t, err, "use debug, info, warn or error")
	_, err = telemetry.NewLogger(io.Discard, telemetry.FormatText, "WARN", "test")
	require.NoError(t, err)
}

// clearEnvironment makes the test independent of OTEL_* of whoever runs it.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"} {
		t.Setenv(name, "")
	}
}

func TestSetupWithoutExporterMakesTraceIDs(t *testing.T) {
	clearEnvironment(t)
	shutdown, err := telemetry.Setup(t.Context(), slog.New(slog.DiscardHandler), "test", "v1")
	require.NoError(t, err)
	ctx, span := otel.Tracer("test").Start(t.Context(), "work")
	assert.True(t, span.SpanContext().IsValid())
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	assert.Contains(t, carrier["traceparent"], span.SpanContext().TraceID().String())
	span.End()
	require.NoError(t, shutdown(context.Background()))
}

func TestSetupExportsWhereAnEndpointIsNamed(t *testing.T) {
	var traces, metrics atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/v1/traces":
			traces.Add(1)
		case "/v1/metrics":
			metrics.Add(1)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	clearEnvironment(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	shutdown, err := telemetry.Setup(t.Context(), slog.New(slog.DiscardHandler), "test", "v1")
	require.NoError(t, err)
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	counter, err := otel.Meter("test").Int64Counter("things")
	require.NoError(t, err)
	counter.Add(t.Context(), 1)
	require.NoError(t, shutdown(context.Background()), "shutdown sends what is left")
	assert.EqualValues(t, 1, traces.Load())
	assert.GreaterOrEqual(t, metrics.Load(), int32(1))
}

func TestSetupRefusesAnUnknownExporter(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	_, err := telemetry.Setup(t.Context(), slog.New(slog.DiscardHandler), "test", "v1")
	require.ErrorContains(t, err, "check OTEL_TRACES_EXPORTER")
}

func TestSetupCanBeTurnedOff(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	shutdown, err := telemetry.Setup(t.Context(), slog.New(slog.DiscardHandler), "test", "v1")
	require.NoError(t, err)
	require.NoError(t, shutdown(context.Background()))
}

func TestRegistryTellsWhatRuns(t *testing.T) {
	families, err := telemetry.NewRegistry("test", "v1.2.3").Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, family := range families {
		names[family.GetName()] = true
	}
	for _, name := range []string{"callplane_build_info", "go_goroutines", "process_cpu_seconds_total"} {
		assert.True(t, names[name], name)
	}
}

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Setup installs OpenTelemetry for the process as the standard OTEL_* variables ask for (OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT,
// OTEL_TRACES_SAMPLER, OTEL_SDK_DISABLED and so on). Unlike the standard's default, nothing is exported unless an exporter or an
// endpoint is named; trace ids are made and passed on all the same (W3C Trace Context and Baggage), so that logs of services meet.
// shutdown sends what is left, until its context ends.
func Setup(ctx context.Context, log *slog.Logger, service, version string) (shutdown func(context.Context) error, err error) {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.WarnContext(ctx, "telemetry could not be exported", slog.Any("error", err))
	}))
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return func(context.Context) error { return nil }, nil
	}
	// The environment comes last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
	described, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe the process for telemetry (check OTEL_RESOURCE_ATTRIBUTES): %w", err)
	}
	traces, err := tracerProvider(ctx, described)
	if err != nil {
		return nil, err
	}
	metrics, err := meterProvider(ctx, described)
	if err != nil {
		return nil, errors.Join(err, traces.Shutdown(ctx))
	}
	otel.SetTracerProvider(traces)
	if metrics == nil {
		return traces.Shutdown, nil
	}
	otel.SetMeterProvider(metrics)
	return func(ctx context.Context) error { return errors.Join(traces.Shutdown(ctx), metrics.Shutdown(ctx)) }, nil
}

func tracerProvider(ctx context.Context, described *resource.Resource) (*sdktrace.TracerProvider, error) {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(described)}
	if configured("TRACES") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, fmt.Errorf("export traces (check OTEL_TRACES_EXPORTER): %w", err)
		}
		if !autoexport.IsNoneSpanExporter(exporter) {
			options = append(options, sdktrace.WithBatcher(exporter))
		}
	}
	return sdktrace.NewTracerProvider(options...), nil
}

// meterProvider returns nil where no export of OpenTelemetry's own metrics is asked for; the service's metrics are Prometheus's.
func meterProvider(ctx context.Context, described *resource.Resource) (*sdkmetric.MeterProvider, error) {
	if !configured("METRICS") {
		return nil, nil //nolint:nilnil // None is asked for.
	}
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("export metrics (check OTEL_METRICS_EXPORTER): %w", err)
	}
	if autoexport.IsNoneMetricReader(reader) {
		return nil, nil //nolint:nilnil // As above.
	}
	return sdkmetric.NewMeterProvider(sdkmetric.WithResource(described), sdkmetric.WithReader(reader)), nil
}

// configured tells whether an export of a signal is asked for.
func configured(signal string) bool {
	for _, name := range []string{"OTEL_" + signal + "_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

package rabbitmq

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// w3c is fixed, whatever the program has set for itself: messages carry W3C trace context.
var w3c = propagation.TraceContext{}

// tracer is asked for at each use, because the program sets its provider after packages are initialized.
func tracer() trace.Tracer { return otel.Tracer("github.com/callplane/callplane/libs/rabbitmq") }

// InjectTrace adds the trace context of ctx to headers, unless they carry one.
func InjectTrace(ctx context.Context, headers map[string]string) {
	if _, there := headers["traceparent"]; !there {
		w3c.Inject(ctx, propagation.MapCarrier(headers))
	}
}

func extractTrace(ctx context.Context, headers map[string]string) context.Context {
	return w3c.Extract(ctx, propagation.MapCarrier(headers))
}

// Attribute names follow OpenTelemetry's semantic conventions for messaging.
func messagingAttributes(destination, key, id string) trace.SpanStartEventOption {
	return trace.WithAttributes(
		attribute.String("messaging.system", "rabbitmq"),
		attribute.String("messaging.destination.name", destination),
		attribute.String("messaging.rabbitmq.destination.routing_key", key),
		attribute.String("messaging.message.id", id),
	)
}

func startConsume(ctx context.Context, exchange string, d Delivery) (context.Context, trace.Span) {
	return tracer().Start(extractTrace(ctx, d.Headers), "process "+exchange,
		trace.WithSpanKind(trace.SpanKindConsumer), messagingAttributes(exchange, d.RoutingKey, d.MessageID))
}

// Package amqp brings the events of the provider's side in from RabbitMQ, publishes this service's own, and asks the provider's side for
// tokens.
package amqp

import (
	"context"
	"errors"
	"log/slog"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/telemetry"
	"github.com/callplane/callplane/services/sessions/internal/app"
)

// NewHandler returns what handles a message of this service's partitions. The service's own events come around too; they are known by the
// sender, which the broker has verified, and are in the log already.
func NewHandler(apply app.ApplyEvent) rabbitmq.Handler {
	return func(ctx context.Context, d rabbitmq.Delivery) error {
		if d.UserID == topology.UserSessions {
			return nil
		}
		event, err := events.Accept(events.Delivery{
			Body: d.Body, RoutingKey: d.RoutingKey, MessageID: d.MessageID, UserID: d.UserID, SessionHeader: d.Headers[topology.HeaderSessionID],
		})
		var rejected *events.RejectedError
		if errors.As(err, &rejected) {
			return &rabbitmq.Rejected{Reason: string(rejected.Reason), Detail: rejected.Detail}
		}
		if err != nil {
			return err
		}
		ctx = telemetry.WithAttrs(ctx, slog.String("session_id", event.SessionID), slog.String("event_id", event.EventID))
		return apply.Do(ctx, event)
	}
}

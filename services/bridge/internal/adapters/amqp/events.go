// Package amqp is the bridge's side of the broker: it follows the events of sessions and answers
// commands.
package amqp

import (
	"context"
	"errors"
	"log/slog"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/telemetry"
	"github.com/callplane/callplane/services/bridge/internal/app"
)

// Follower takes in an event of a session.
type Follower interface {
	Do(ctx context.Context, e events.Envelope) error
}

// FollowSessions returns the handler of the bridge's partitions of the events exchange. Our own events
// come back there too and are passed over.
func FollowSessions(follower Follower) rabbitmq.Handler {
	return func(ctx context.Context, d rabbitmq.Delivery) error {
		if d.UserID == topology.UserBridge {
			return nil
		}
		accepted, err := events.Accept(events.Delivery{
			Body: d.Body, RoutingKey: d.RoutingKey, MessageID: d.MessageID, UserID: d.UserID,
			SessionHeader: d.Headers[topology.HeaderSessionID],
		})
		var rejected *events.RejectedError
		if errors.As(err, &rejected) {
			return &rabbitmq.Rejected{Reason: string(rejected.Reason), Detail: rejected.Detail}
		}
		if err != nil {
			return err
		}
		ctx = telemetry.WithAttrs(ctx, slog.String("session_id", accepted.SessionID))
		err = follower.Do(ctx, accepted.Envelope)
		if errors.Is(err, app.ErrUnreadable) {
			return &rabbitmq.Rejected{Reason: string(events.SchemaViolation), Detail: err.Error()}
		}
		return err
	}
}

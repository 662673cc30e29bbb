package amqp

import (
	"context"
	"log/slog"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/libs/rabbitmq"
)

// LogVersion has every fresh connection of c logged with the version of the broker behind it.
func LogVersion(c *rabbitmq.Connector, log *slog.Logger) {
	c.Each(func(ctx context.Context, _ *amqp091.Connection) error {
		log.InfoContext(ctx, "broker ready", slog.String("rabbitmq_version", c.ServerVersion()))
		return nil
	})
}

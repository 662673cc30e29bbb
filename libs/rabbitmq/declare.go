package rabbitmq

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
)

// DeclareOn registers the declaration of t on every fresh connection of c.
func DeclareOn(c *Connector, t topology.Topology) {
	c.Each(func(ctx context.Context, conn *amqp.Connection) error { return Declare(ctx, conn, t) })
}

// Declare declares all of t, in its order, but that consistent-hash exchanges have their queues bound before anything else is bound. What is
// there already stays as it is, but for the order of those queues, which a broker forgets when it ends. An object that is there with other
// settings, a missing permission and a missing plugin are *FatalErrors.
func Declare(ctx context.Context, conn *amqp.Connection, t topology.Topology) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel to declare the topology: %w", err)
	}
	defer func() { _ = ch.Close() }()
	for _, e := range t.Exchanges {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("declare the topology: %w", context.Cause(ctx))
		}
		if err := ch.ExchangeDeclare(e.Name, e.Kind, true, false, e.Internal, false, e.Args); err != nil {
			return declareError(err, "exchange", e.Name, e.Kind)
		}
	}
	for _, q := range t.Queues {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("declare the topology: %w", context.Cause(ctx))
		}
		if _, err := ch.QueueDeclare(q.Name, true, q.AutoDelete, false, false, q.Args); err != nil {
			return declareError(err, "queue", q.Name, "")
		}
	}
	rings, others := splitBindings(t)
	if err := bindRings(ctx, conn, rings); err != nil {
		return err
	}
	return bind(ctx, ch, others)
}

// bind declares bindings, in their order.
func bind(ctx context.Context, ch *amqp.Channel, bindings []topology.Binding) error {
	for _, b := range bindings {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("declare the topology: %w", context.Cause(ctx))
		}
		one := ch.QueueBind
		if b.ToExchange {
			one = ch.ExchangeBind
		}
		if err := one(b.Destination, b.Key, b.Source, false, b.Args); err != nil {
			return declareError(err, "binding", b.Source+" to "+b.Destination, "")
		}
	}
	return nil
}

// declareError makes errors of declaring that won't go away fatal, with what to do.
func declareError(err error, what, name, kind string) error {
	e, ok := serverError(err)
	switch {
	case ok && strings.Contains(e.Reason, "unknown exchange type"):
		return fatal(err, "the broker does not know exchanges of type %s; enable the plugin for it "+
			"(rabbitmq-plugins enable rabbitmq_consistent_hash_exchange)", kind)
	case ok && e.Code == amqp.PreconditionFailed && name == topology.PartitionsExchange:
		return fatal(err, "the broker was set up with another EVENT_PARTITIONS; the number is fixed by the first declaration: "+
			"set EVENT_PARTITIONS to the one in use (the end of \"current is\"), or use another virtual host")
	case ok && e.Code == amqp.PreconditionFailed:
		return fatal(err, "the %s %s is on the broker with other settings than this version declares; "+
			"delete it there once it is empty, or use another virtual host", what, name)
	case ok && e.Code == amqp.AccessRefused:
		return fatal(err, "the broker user may not declare the %s %s; grant it the permissions that the broker definitions list", what, name)
	}
	return fmt.Errorf("declare the %s %s: %w", what, name, err)
}

package amqp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/rabbitmq"
)

// OldestBroker is the oldest RabbitMQ that is supported: from 4.0 on a partition moves to its best consumer at once.
const OldestBroker = "4.0"

const appID = "callplane-sessions"

// Config says which broker is used, and how.
type Config struct {
	URL        config.Secret
	Partitions int
	Replica    string        // unique among the running replicas
	Deadline   time.Duration // of a request to the provider's side
	Logger     *slog.Logger
	Metrics    *rabbitmq.Metrics
}

// Broker holds the service's two connections: one that publishes and asks, and one that consumes, since the broker blocks whole
// connections that publish. Both declare everything first, so that what is confirmed has a queue.
type Broker struct {
	cfg        Config
	publishing *rabbitmq.Connector
	consuming  *rabbitmq.Connector
	publisher  *rabbitmq.Publisher
	caller     *rabbitmq.RPCClient
}

// NewBroker checks the configuration; nothing is connected before RunPublishing and RunConsuming.
func NewBroker(cfg Config) (*Broker, error) {
	b := &Broker{cfg: cfg}
	for name, connector := range map[string]**rabbitmq.Connector{"publishing": &b.publishing, "consuming": &b.consuming} {
		made, err := rabbitmq.NewConnector(rabbitmq.Config{
			URL: cfg.URL, Name: appID + "-" + name, MinVersion: OldestBroker, Logger: cfg.Logger, Metrics: cfg.Metrics,
		})
		if err != nil {
			return nil, err
		}
		rabbitmq.DeclareOn(made, topology.Merge(topology.Shared(cfg.Partitions), topology.Hints()))
		*connector = made
	}
	b.publisher = rabbitmq.NewPublisher(b.publishing, appID)
	b.caller = rabbitmq.NewRPCClient(b.publishing, appID, cfg.Deadline)
	return b, nil
}

// Publisher returns what the outbox is relayed by.
func (b *Broker) Publisher() *rabbitmq.Publisher { return b.publisher }

// Caller returns what asks the provider's side.
func (b *Broker) Caller() *rabbitmq.RPCClient { return b.caller }

// Consume has handle called for each message of this service's partitions. To be called before RunConsuming.
func (b *Broker) Consume(handle rabbitmq.Handler) {
	rabbitmq.NewConsumer(b.consuming, rabbitmq.ConsumerConfig{
		Exchange: topology.SessionsEvents, Partitions: b.cfg.Partitions, Replica: b.cfg.Replica, Dead: b.publisher,
		Happened: func(d rabbitmq.Delivery) (time.Time, bool) { return events.Happened(d.Body) },
	}, handle)
}

// RunPublishing keeps the publishing connection until ctx ends (nil), or returns a *rabbitmq.FatalError that says what to do.
func (b *Broker) RunPublishing(ctx context.Context) error { return b.publishing.Run(ctx) }

// RunConsuming keeps the consuming connection likewise; when ctx ends it finishes what is in hand.
func (b *Broker) RunConsuming(ctx context.Context) error { return b.consuming.Run(ctx) }

// Check is for readiness: nil while both connections stand and serve all partitions, or are not wanted yet because the database is away.
func (b *Broker) Check(context.Context) error {
	return errors.Join(b.publishing.Check(), b.consuming.Check())
}

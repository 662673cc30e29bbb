package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/callplane/callplane/contracts/topology"
)

// Request is a request as a server gets it.
type Request struct {
	Key     string // routing key
	ID      string // message-id
	UserID  string // verified by the broker
	Headers map[string]string
	Body    []byte
}

// RequestHandler answers one request; several run at the same time. ctx ends when the caller no longer waits, or the connection is lost.
// What it returns is the reply's body; an error is told to the caller as ErrRemote without its text, and logged.
type RequestHandler func(ctx context.Context, r Request) ([]byte, error)

// RPCServerConfig says what is served.
type RPCServerConfig struct {
	// Queue is consumed. Topology declares it and its bindings; it is declared whenever consuming starts, because an auto-delete queue
	// may have gone with another server meanwhile.
	Queue    string
	Topology topology.Topology
	// Users are the broker users whose requests are answered; those of others are dropped.
	Users []string
	// Concurrency is how many requests are handled at the same time; 16 unless given.
	Concurrency int
	// MaxBody bounds a request's body in bytes; larger ones are dropped. 64 KiB unless given.
	MaxBody int
	// Drain is how long requests in hand may take to finish after the server was told to stop; 5 s unless given.
	Drain time.Duration
}

// RPCServer answers requests from a queue. Requests whose time is over are never handled: the broker drops them in the queue, and no more
// are taken than can be handled at once.
type RPCServer struct {
	connector *Connector
	cfg       RPCServerConfig
	app       string
	handle    RequestHandler
	log       *slog.Logger
}

// NewRPCServer makes a server on the connection of c, before c runs. app is the app-id of the replies.
func NewRPCServer(c *Connector, app string, cfg RPCServerConfig, handle RequestHandler) *RPCServer {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 16
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 64 << 10
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 5 * time.Second
	}
	s := &RPCServer{connector: c, cfg: cfg, app: app, handle: handle, log: c.cfg.Logger.With("queue", cfg.Queue)}
	c.Serve(s.serve)
	return s
}

func (s *RPCServer) serve(ctx context.Context, conn *amqp.Connection) error {
	if err := Declare(ctx, conn, s.cfg.Topology); err != nil {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel to serve %s: %w", s.cfg.Queue, err)
	}
	defer func() { _ = ch.Close() }()
	if err := ch.Qos(s.cfg.Concurrency, 0, false); err != nil {
		return consumeError(err, s.cfg.Queue, s.connector.user)
	}
	tag := "server"
	deliveries, err := ch.Consume(s.cfg.Queue, tag, false, false, false, false, nil)
	if err != nil {
		return consumeError(err, s.cfg.Queue, s.connector.user)
	}
	return s.answerAll(ctx, ch, tag, deliveries)
}

// answerAll handles requests until ctx ends (nil) or the channel does.
func (s *RPCServer) answerAll(ctx context.Context, ch *amqp.Channel, tag string, deliveries <-chan amqp.Delivery) error {
	working, release := drainContext(ctx, ch, s.cfg.Drain)
	defer release()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			if !Lost(ctx) {
				_ = ch.Cancel(tag, false) // the next request goes to another server, or is unroutable at once
			}
			return nil
		case d, ok := <-deliveries:
			if !ok {
				return ended(ctx, working, ch, s.cfg.Queue)
			}
			// The prefetch bounds how many there are.
			running.Go(func() { s.answer(working, ch, d) })
		}
	}
}

func (s *RPCServer) answer(ctx context.Context, ch *amqp.Channel, d amqp.Delivery) {
	result := s.reply(ctx, ch, d)
	s.connector.cfg.Metrics.requests.WithLabelValues(s.cfg.Queue, result).Inc()
	// Settled whatever came of it: the caller asks again if it wants to. An error means that the channel is gone, and that comes up above.
	_ = ch.Ack(d.DeliveryTag, false)
}

// reply handles one request and sends its reply. It returns how it ended, the label of the metric.
func (s *RPCServer) reply(ctx context.Context, ch *amqp.Channel, d amqp.Delivery) string {
	if why := s.unfit(d); why != "" {
		s.log.WarnContext(ctx, "a request was dropped", "reason", why, "key", d.RoutingKey, "user", d.UserId, "app", d.AppId)
		return "dropped"
	}
	left, err := strconv.ParseInt(d.Expiration, 10, 32)
	if err != nil || left <= 0 {
		s.log.WarnContext(ctx, "a request was dropped", "reason", "it has no expiration", "key", d.RoutingKey, "app", d.AppId)
		return "dropped"
	}
	// How long it lay in the queue isn't known without comparing clocks, so this is an upper bound.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(left)*time.Millisecond)
	defer cancel()
	r := Request{Key: d.RoutingKey, ID: d.MessageId, UserID: d.UserId, Headers: headers(d.Headers), Body: d.Body}
	ctx, span := tracer().Start(extractTrace(ctx, r.Headers), "serve "+d.RoutingKey,
		trace.WithSpanKind(trace.SpanKindServer), messagingAttributes(d.Exchange, d.RoutingKey, d.MessageId))
	defer span.End()
	out := amqp.Publishing{CorrelationId: d.CorrelationId, ContentType: contentTypeJSON, UserId: s.connector.user, AppId: s.app}
	result := "replied"
	if out.Body, err = s.handle(ctx, r); err != nil {
		span.SetStatus(codes.Error, err.Error())
		if ctx.Err() != nil { // nobody waits for the reply any more, or it can't be sent
			s.log.WarnContext(ctx, "a request was not finished in time", "key", d.RoutingKey, "error", err)
			return "expired"
		}
		s.log.ErrorContext(ctx, "a request failed", "key", d.RoutingKey, "error", err)
		out.Body, out.Headers, result = nil, amqp.Table{headerError: "internal"}, "failed"
	}
	// The default exchange takes a reply to its caller; it is dropped where that is gone.
	if err := ch.PublishWithContext(ctx, "", d.ReplyTo, false, false, out); err != nil && !errors.Is(err, amqp.ErrClosed) {
		s.log.WarnContext(ctx, "a reply could not be sent", "key", d.RoutingKey, "error", err)
		return "lost"
	}
	return result
}

// unfit says why a request is not even looked at, empty if it is fit.
func (s *RPCServer) unfit(d amqp.Delivery) string {
	switch {
	case !slices.Contains(s.cfg.Users, d.UserId):
		return "this user may not ask"
	case len(d.Body) > s.cfg.MaxBody:
		return "its body is too large"
	case d.ReplyTo == "" || d.CorrelationId == "":
		return "it says not where to reply to"
	}
	return ""
}

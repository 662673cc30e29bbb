package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// replyQueue is the broker's pseudo-queue for direct reply-to: replies go straight to the channel that asked.
const replyQueue = "amq.rabbitmq.reply-to"

// headerError marks a reply of a server that failed; it has no body.
const headerError = "x-error"

// RPCClient sends requests and waits for their replies, by direct reply-to on a channel of its own. All methods are safe for concurrent
// use.
type RPCClient struct {
	connector *Connector
	app       string
	timeout   time.Duration
	current   atomic.Pointer[callChannel]
}

// NewRPCClient makes a client on the connection of c, before c runs. app is the app-id of the requests; timeout bounds every call.
func NewRPCClient(c *Connector, app string, timeout time.Duration) *RPCClient {
	client := &RPCClient{connector: c, app: app, timeout: timeout}
	c.Serve(client.serve)
	return client
}

// Call sends a request and returns the body of the reply. It waits until the deadline of ctx or the client's timeout, whichever is
// sooner; the broker drops the request when that has passed. Errors wrap ErrUnavailable (no connection, nothing sent), ErrUnroutable
// (nobody serves key), ErrTimeout, ErrUnconfirmed (the connection was lost meanwhile), ErrRefused, or ErrRemote; or are that of ctx where
// the caller gave up.
func (c *RPCClient) Call(ctx context.Context, exchange, key string, body []byte, headers map[string]string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, ErrTimeout)
	defer cancel()
	ctx, span := tracer().Start(ctx, "call "+key, trace.WithSpanKind(trace.SpanKindClient), messagingAttributes(exchange, key, ""))
	defer span.End()
	reply, err := c.call(ctx, exchange, key, body, headers)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	c.connector.cfg.Metrics.calls.WithLabelValues(key, callResult(err)).Inc()
	return reply, err
}

func (c *RPCClient) call(ctx context.Context, exchange, key string, body []byte, headers map[string]string) ([]byte, error) {
	channel := c.current.Load()
	if channel == nil {
		return nil, ErrUnavailable
	}
	headers = withHeaders(headers, nil)
	InjectTrace(ctx, headers)
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline).Milliseconds()
	if left <= 0 {
		return nil, callEnd(ctx)
	}
	id := uuid.NewString()
	one := &call{
		exchange: exchange, key: key, outcome: make(chan answer, 1),
		publishing: amqp.Publishing{
			Headers: table(headers), ContentType: contentTypeJSON, CorrelationId: id, MessageId: id, ReplyTo: replyQueue,
			Expiration: strconv.FormatInt(left, 10), UserId: c.connector.user, AppId: c.app, Body: body, Timestamp: time.Now(),
		},
	}
	channel.add(one)
	defer channel.drop(one)
	select {
	case channel.work <- one:
	case <-channel.done:
		return nil, ErrUnavailable
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: the connection takes no more: %w", ErrUnavailable, callEnd(ctx))
	}
	select {
	case a := <-one.outcome:
		return a.body, a.err
	case <-ctx.Done():
		return nil, callEnd(ctx)
	}
}

// callEnd tells the end of the waiting time from a caller that gave up. A context whose deadline has just passed need not have ended yet.
func callEnd(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)
	}
	return cause
}

// serve opens a channel for each connection, and another one when the broker closes it over a request.
func (c *RPCClient) serve(ctx context.Context, conn *amqp.Connection) error {
	return eachChannel(ctx, c.connector, conn, "request/reply", func(ch *amqp.Channel) error {
		replies, err := ch.Consume(replyQueue, "", true, true, false, false, nil)
		if err != nil {
			return fmt.Errorf("listen for replies: %w", err)
		}
		channel := newCallChannel(ch)
		c.current.Store(channel)
		defer c.current.CompareAndSwap(channel, nil)
		return channel.run(ctx, replies)
	})
}

// callResult is the label of the metric.
func callResult(err error) string {
	switch {
	case err == nil:
		return "replied"
	case errors.Is(err, ErrUnroutable):
		return "unroutable"
	case errors.Is(err, ErrTimeout):
		return "timeout"
	case errors.Is(err, ErrRemote):
		return "remote_error"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	default:
		return "failed"
	}
}

// call is a request on its way.
type call struct {
	exchange   string
	key        string
	publishing amqp.Publishing
	outcome    chan answer // takes one value, never blocks
}

type answer struct {
	body []byte
	err  error
}

// callChannel is one channel that asks and listens.
type callChannel struct {
	ch   *amqp.Channel
	work chan *call
	done chan struct{} // closed when the channel is no longer written to

	mu      sync.Mutex
	waiting map[string]*call // by correlation id
}

func newCallChannel(ch *amqp.Channel) *callChannel {
	return &callChannel{ch: ch, work: make(chan *call), done: make(chan struct{}), waiting: make(map[string]*call)}
}

func (c *callChannel) add(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[one.publishing.CorrelationId] = one
}

func (c *callChannel) drop(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, one.publishing.CorrelationId)
}

// answer gives the call its outcome, once; an answer that nobody waits for any more is dropped.
func (c *callChannel) answer(id string, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one, ok := c.waiting[id]; ok {
		delete(c.waiting, id)
		one.outcome <- a
	}
}

// run works until ctx ends or the channel is closed, and returns why. Every call has its outcome by then.
func (c *callChannel) run(ctx context.Context, replies <-chan amqp.Delivery) error {
	returns := c.ch.NotifyReturn(make(chan amqp.Return, 16))
	closed := c.ch.NotifyClose(make(chan *amqp.Error, 1))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.read(replies, returns)
	}()
	c.write(ctx, ended)
	close(c.done)
	_ = c.ch.Close()
	<-ended
	reason := channelEnd(ctx, closed)
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, one := range c.waiting {
		delete(c.waiting, id)
		one.outcome <- answer{err: fmt.Errorf("%w: %w", lostKind(reason), reason)}
	}
	return reason
}

func (c *callChannel) write(ctx context.Context, ended <-chan struct{}) {
	for {
		select {
		case one := <-c.work:
			if err := c.ch.PublishWithContext(ctx, one.exchange, one.key, true, false, one.publishing); err != nil {
				c.answer(one.publishing.CorrelationId, answer{err: fmt.Errorf("%w: %w", ErrUnavailable, err)})
			}
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (c *callChannel) read(replies <-chan amqp.Delivery, returns <-chan amqp.Return) {
	for replies != nil || returns != nil {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			c.answer(r.CorrelationId, answer{err: ErrUnroutable})
		case d, ok := <-replies:
			if !ok {
				replies = nil
				continue
			}
			if failed, ok := d.Headers[headerError].(string); ok {
				c.answer(d.CorrelationId, answer{err: fmt.Errorf("%w: %s", ErrRemote, clip(failed))})
				continue
			}
			c.answer(d.CorrelationId, answer{body: d.Body})
		}
	}
}

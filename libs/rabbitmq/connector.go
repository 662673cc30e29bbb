package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/libs/config"
)

// Bounds of the pause between two attempts to connect; it grows and is jittered.
const (
	minRedial = 100 * time.Millisecond
	maxRedial = 5 * time.Second
)

// closeTimeout is how long a connection is given to close in order.
const closeTimeout = 2 * time.Second

// Config says how to connect.
type Config struct {
	// URL of the broker, amqp:// or amqps://, with user, password and virtual host.
	URL config.Secret
	// Name is shown for the connection on the broker's pages, for example "billing-consumer".
	Name string
	// Heartbeat is how often the two sides prove to each other that they live; 10 s unless given. A peer that is silent for one and a
	// half of it is gone.
	Heartbeat time.Duration
	// DialTimeout bounds connecting and logging in; 5 s unless given.
	DialTimeout time.Duration
	// MinVersion is the oldest RabbitMQ that will do, as in "4.0"; empty: any.
	MinVersion string
	Logger     *slog.Logger // slog.Default unless given
	Metrics    *Metrics     // kept to itself unless given
}

// ConnectionFunc works with one connection. ctx ends with the connection, and when the connector is told to stop.
type ConnectionFunc func(ctx context.Context, conn *amqp.Connection) error

// Connector owns one connection to the broker and dials anew, with growing, jittered pauses and for ever, when it is lost. All methods
// are safe for concurrent use.
type Connector struct {
	cfg      Config
	user     string
	password config.Secret
	plain    bool   // the URL asks for no other way to log in
	where    string // host:port and virtual host, for people

	mu    sync.Mutex
	setup []ConnectionFunc
	serve []ConnectionFunc

	running   atomic.Bool
	connected atomic.Bool
	broken    atomic.Int64 // partitions that are consumed here and can't be served
	version   atomic.Pointer[string]
}

// NewConnector checks the configuration. Nothing is dialled before Run.
func NewConnector(cfg Config) (*Connector, error) {
	uri, err := amqp.ParseURI(cfg.URL.Reveal())
	if err != nil {
		var parse *url.Error // its text would hold the URL and so the password
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("the AMQP URL can't be read, it should be like amqp://user:password@host:5672/vhost: %w", err)
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 10 * time.Second
	}
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = 5 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	where := net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)) + " (virtual host " + uri.Vhost + ")"
	c := &Connector{cfg: cfg, user: uri.Username, password: config.Secret(uri.Password), plain: uri.AuthMechanism == nil, where: where}
	cfg.Metrics.connected.WithLabelValues(cfg.Name).Set(0)
	return c, nil
}

// Each registers what is done first on every fresh connection, such as declaring a topology, in the order of registration and before
// anything registered with Serve. An error closes the connection, and it is dialled anew; a FatalError ends Run. Register before Run.
func (c *Connector) Each(fn ConnectionFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setup = append(c.setup, fn)
}

// Serve registers what runs as long as a connection lives, beside the others. Run waits for all of it before it dials anew or returns,
// so fn must return when ctx ends; it may finish what it has in hand first (see Lost). An error is treated as one of Each is; nil means
// that there is no more to do on this connection. Register before Run.
func (c *Connector) Serve(fn ConnectionFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serve = append(c.serve, fn)
}

// Connected tells whether a connection stands and everything registered with Each is done on it.
func (c *Connector) Connected() bool { return c.connected.Load() }

// Check is for readiness: an error while a connection is wanted and none stands, or while the broker can't serve partitions that are
// consumed here. None is wanted before Run, as while a service waits for something else first.
func (c *Connector) Check() error {
	if c.running.Load() && !c.connected.Load() {
		return errors.New("not connected to the broker")
	}
	if n := c.broken.Load(); n > 0 {
		return fmt.Errorf("partitions whose queue the broker can't serve: %d", n)
	}
	return nil
}

// ServerVersion returns the version of the broker connected to last, empty before the first connection.
func (c *Connector) ServerVersion() string {
	if version := c.version.Load(); version != nil {
		return *version
	}
	return ""
}

// User returns the broker user of the connection.
func (c *Connector) User() string { return c.user }

// Run connects, and connects again whenever the connection is lost, until ctx ends (nil) or a problem comes up that dialling again can't
// solve (a *FatalError). It may be called once.
func (c *Connector) Run(ctx context.Context) error {
	c.running.Store(true)
	defer c.running.Store(false)
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.RandomizationFactor = minRedial, maxRedial, 0.5
	attempt := func() (struct{}, error) {
		began := time.Now()
		err := c.once(ctx)
		if time.Since(began) > maxRedial {
			pause.Reset() // it worked for a while: the next attempt may come at once
		}
		var fatal *FatalError
		if ctx.Err() == nil && errors.As(err, &fatal) {
			return struct{}{}, backoff.Permanent(fatal)
		}
		if err == nil {
			err = ctx.Err()
		}
		return struct{}{}, err
	}
	notify := func(err error, next time.Duration) {
		c.cfg.Logger.WarnContext(ctx, "no connection to the broker, trying again",
			"connection", c.cfg.Name, "error", err, "in", next.Round(time.Millisecond))
	}
	_, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0), backoff.WithNotify(notify))
	var fatal *FatalError
	if errors.As(err, &fatal) {
		return fatal
	}
	return nil
}

// once is the life of one connection.
func (c *Connector) once(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return dialError(err, c.user, c.where)
	}
	s := &session{connector: c, conn: conn, closed: conn.NotifyClose(make(chan *amqp.Error, 1))}
	defer func() {
		c.connected.Store(false)
		c.cfg.Metrics.connected.WithLabelValues(c.cfg.Name).Set(0)
	}()
	return s.run(ctx)
}

func (c *Connector) dial(ctx context.Context) (*amqp.Connection, error) {
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(c.cfg.Name)
	dialer := net.Dialer{Timeout: c.cfg.DialTimeout}
	var raw net.Conn
	conn, err := amqp.DialConfig(c.cfg.URL.Reveal(), amqp.Config{
		SASL:       c.sasl(properties),
		Heartbeat:  c.cfg.Heartbeat,
		Properties: properties,
		Dial: func(network, addr string) (net.Conn, error) {
			var err error
			if raw, err = dialer.DialContext(ctx, network, addr); err != nil {
				return nil, err
			}
			// amqp091 lifts the deadline when the handshake is done.
			return raw, raw.SetDeadline(time.Now().Add(c.cfg.DialTimeout))
		},
	})
	if err != nil {
		if raw != nil {
			_ = raw.Close() // so that the reader that amqp091 has started ends
		}
		return nil, err
	}
	return conn, nil
}

// sasl returns how to log in; nil leaves it to the URL.
func (c *Connector) sasl(properties amqp.Table) []amqp.Authentication {
	if !c.plain {
		return nil
	}
	return []amqp.Authentication{&login{user: c.user, password: c.password, properties: properties}}
}

// login is SASL PLAIN (RFC 4616). amqp091 does not ask the broker to say that it refuses a login, and overwrites the capabilities it is
// given; but it asks for the response afterwards, so they are completed then. Without that the broker closes the socket without a word,
// which looks like any other loss.
type login struct {
	user       string
	password   config.Secret
	properties amqp.Table
}

// Mechanism implements amqp.Authentication.
func (l *login) Mechanism() string { return "PLAIN" }

// Response implements amqp.Authentication.
func (l *login) Response() string {
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return (&amqp.PlainAuth{Username: l.user, Password: l.password.Reveal()}).Response()
}

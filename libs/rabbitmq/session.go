package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/mod/semver"
)

// lostError is the cause of a context that ended because its connection is gone or is being given up.
type lostError struct{ err error }

func (e *lostError) Error() string { return "connection lost: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// Lost tells whether a context given to a ConnectionFunc ended with its connection: what is in hand is to be dropped. Where it ended
// because the connector was told to stop, the connection still works and what is in hand can be finished.
func Lost(ctx context.Context) bool {
	var lost *lostError
	return errors.As(context.Cause(ctx), &lost)
}

// stopTimeout is how long what runs on a connection has to finish what is in hand when the connector is told to stop.
const stopTimeout = 15 * time.Second

// session is the life of one connection of a connector.
type session struct {
	connector *Connector
	conn      *amqp.Connection
	closed    chan *amqp.Error
}

// run returns nil when ctx ended, otherwise why the connection was lost or given up. The connection is closed and everything that used
// it has returned.
func (s *session) run(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		reason := error(amqp.ErrClosed)
		if e := <-s.closed; e != nil {
			reason = e
		}
		cancel(&lostError{reason})
	}()
	defer func() {
		cancel(nil)
		_ = s.conn.CloseDeadline(time.Now().Add(closeTimeout))
		<-watched
	}()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.serve(ctx, cancel)
}

// prepare checks the broker and runs what was registered with Each.
func (s *session) prepare(ctx context.Context) error {
	c := s.connector
	version, _ := s.conn.Properties["version"].(string)
	product, _ := s.conn.Properties["product"].(string)
	c.version.Store(&version)
	if err := checkVersion(product, version, c.cfg.MinVersion, c.where); err != nil {
		return err
	}
	// The calls to the broker below don't look at ctx: closing the connection makes them return.
	stop := context.AfterFunc(ctx, func() { _ = s.conn.CloseDeadline(time.Now().Add(closeTimeout)) })
	c.mu.Lock()
	setup := c.setup
	c.mu.Unlock()
	for _, fn := range setup {
		if err := fn(ctx, s.conn); err != nil {
			stop()
			return err
		}
	}
	if !stop() {
		return fmt.Errorf("prepare the connection: %w", context.Cause(ctx))
	}
	c.connected.Store(true)
	c.cfg.Metrics.connected.WithLabelValues(c.cfg.Name).Set(1)
	c.cfg.Metrics.connections.WithLabelValues(c.cfg.Name).Inc()
	c.cfg.Logger.InfoContext(ctx, "connected to the broker", "connection", c.cfg.Name, "broker", c.where, "user", c.user,
		"product", product, "version", version)
	return nil
}

// serve runs what was registered with Serve until ctx ends or one of it fails.
func (s *session) serve(ctx context.Context, cancel context.CancelCauseFunc) error {
	s.connector.mu.Lock()
	serve := s.connector.serve
	s.connector.mu.Unlock()
	var (
		running sync.WaitGroup
		failed  = make(chan error, len(serve))
	)
	for _, fn := range serve {
		running.Go(func() {
			if err := fn(ctx, s.conn); err != nil {
				failed <- err
				cancel(&lostError{err})
			}
		})
	}
	<-ctx.Done()
	// Calls to a broker that hangs end only with the connection.
	late := time.AfterFunc(stopTimeout, func() { _ = s.conn.CloseDeadline(time.Now()) })
	running.Wait()
	late.Stop()
	select {
	case err := <-failed:
		if !Lost(ctx) {
			return nil // it was told to stop; what failed meanwhile doesn't matter
		}
		return err
	default:
	}
	if Lost(ctx) {
		return context.Cause(ctx)
	}
	return nil
}

// checkVersion returns a FatalError if the broker is not a RabbitMQ of at least version oldest ("4.0"; empty: any).
func checkVersion(product, version, oldest, where string) error {
	if oldest == "" {
		return nil
	}
	have := "v" + version
	if product != "RabbitMQ" || !semver.IsValid(have) {
		return fatal(nil, "the broker at %s says that it is %q version %q; RabbitMQ %s or newer is needed", where, product, version, oldest)
	}
	if semver.Compare(have, "v"+oldest) < 0 {
		return fatal(nil, "the broker at %s is RabbitMQ %s; %s is the oldest that is supported, upgrade it", where, version, oldest)
	}
	return nil
}

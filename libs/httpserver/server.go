package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerOptions shape a server. A zero field takes the default in brackets.
type ServerOptions struct {
	Name              string // in logs
	Addr              string // such as ":8080"
	Handler           http.Handler
	Log               *slog.Logger
	ReadHeaderTimeout time.Duration // [5 s]
	ReadTimeout       time.Duration // for a whole request [20 s]
	WriteTimeout      time.Duration // from the request's end to the answer's [30 s]; a stream sets a deadline per write instead
	IdleTimeout       time.Duration // of a kept-alive connection [75 s]
	MaxHeaderBytes    int           // [32 KiB]
}

func (o ServerOptions) withDefaults() ServerOptions {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for field, value := range map[*time.Duration]time.Duration{
		&o.ReadHeaderTimeout: 5 * time.Second, &o.ReadTimeout: 20 * time.Second,
		&o.WriteTimeout: 30 * time.Second, &o.IdleTimeout: 75 * time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
	if o.MaxHeaderBytes == 0 {
		o.MaxHeaderBytes = 32 << 10
	}
	return o
}

// Server listens from Start to Shutdown.
type Server struct {
	name     string
	log      *slog.Logger
	http     *http.Server
	streams  *openStreams
	listener net.Listener
	done     chan struct{}
	failed   chan error
}

// NewServer returns a server that does not listen yet.
func NewServer(options ServerOptions) *Server {
	options = options.withDefaults()
	streams := &openStreams{}
	return &Server{
		name: options.Name, log: options.Log, done: make(chan struct{}), failed: make(chan error, 1), streams: streams,
		http: &http.Server{
			Addr: options.Addr, Handler: options.Handler, BaseContext: streams.under,
			ReadHeaderTimeout: options.ReadHeaderTimeout, ReadTimeout: options.ReadTimeout,
			WriteTimeout: options.WriteTimeout, IdleTimeout: options.IdleTimeout, MaxHeaderBytes: options.MaxHeaderBytes,
			// What clients do wrong on the wire is theirs: it must not fill the log.
			ErrorLog: slog.NewLogLogger(options.Log.Handler(), slog.LevelDebug),
		},
	}
}

// Start listens, and serves in a goroutine until Shutdown. An address that can't be listened on is an error here.
func (s *Server) Start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.http.Addr)
	if err != nil {
		return fmt.Errorf("listen for %s: %w; set another address, or stop what has it", s.name, err)
	}
	s.listener = listener
	s.log.InfoContext(ctx, "listening", slog.String("server", s.name), slog.String("address", s.Addr()))
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve %s: %w", s.name, err)
		}
	}()
	return nil
}

// Addr is the address that is listened on, with its port; empty before Start.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Failed yields an error where serving ended for another reason than Shutdown.
func (s *Server) Failed() <-chan error { return s.failed }

// OnShutdown has do called when Shutdown begins: the place to end what would go on for ever. To be called before Start.
func (s *Server) OnShutdown(do func()) { s.http.RegisterOnShutdown(do) }

// Shutdown takes no more connections and waits for the requests in hand and the streams; those that are left when ctx ends are cut.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err == nil {
		err = s.streams.wait(ctx)
	}
	if err != nil {
		s.streams.cutAll()
		err = errors.Join(fmt.Errorf("shut %s down: %w; cut what was left", s.name, err), s.http.Close())
	}
	<-s.done
	return err
}

// Package httpserverfx wires package httpserver into an fx application.
package httpserverfx

import (
	"context"
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/callplane/callplane/libs/httpserver"
)

// Config is what the application supplies.
type Config struct {
	Addr          string             // of the public server
	AdminAddr     string             // of metrics and profiles
	ShutdownDelay time.Duration      // how long to serve on after readiness is gone, so that balancers notice
	Engine        httpserver.Options // Log and Registerer are filled in
}

// Module provides *httpserver.Health, *gin.Engine with the health endpoints, and the two servers (Servers) from a supplied Config, a
// *slog.Logger, a prometheus.Registerer and a prometheus.Gatherer. The application mounts its routes on the engine and has Serve
// invoked last.
var Module = fx.Module("httpserver",
	fx.Provide(httpserver.NewHealth, newEngine, newServers),
)

// Servers are the two that Serve starts.
type Servers struct {
	Public *httpserver.Server
	Admin  *httpserver.Server
}

func newEngine(config Config, log *slog.Logger, registerer prometheus.Registerer, health *httpserver.Health) *gin.Engine {
	options := config.Engine
	options.Log, options.Registerer = log, registerer
	engine := httpserver.NewEngine(options)
	health.Mount(engine)
	return engine
}

func newServers(config Config, log *slog.Logger, engine *gin.Engine, gatherer prometheus.Gatherer) Servers {
	return Servers{
		Public: httpserver.NewServer(httpserver.ServerOptions{Name: "http", Addr: config.Addr, Handler: engine, Log: log}),
		Admin:  httpserver.NewAdmin(config.AdminAddr, gatherer, log),
	}
}

// Serve is invoked after everything that handlers use, so that the servers start last and drain first: not ready, serve on for the delay,
// finish the requests in hand. A server that fails while it runs stops the application with status 1.
func Serve(lifecycle fx.Lifecycle, stopper fx.Shutdowner, config Config, servers Servers, health *httpserver.Health, log *slog.Logger) {
	for _, server := range []*httpserver.Server{servers.Admin, servers.Public} {
		watch := newWatch(server, stopper, log)
		lifecycle.Append(fx.Hook{
			OnStart: func(ctx context.Context) error {
				if err := server.Start(ctx); err != nil {
					return err
				}
				watch.start()
				return nil
			},
			OnStop: func(ctx context.Context) error {
				watch.stop()
				return server.Shutdown(ctx)
			},
		})
	}
	lifecycle.Append(fx.StopHook(func(ctx context.Context) {
		health.Drain()
		log.InfoContext(ctx, "draining", slog.Duration("delay", config.ShutdownDelay))
		select {
		case <-time.After(config.ShutdownDelay):
		case <-ctx.Done():
		}
	}))
}

// watch stops the application when a server fails.
type watch struct {
	server  *httpserver.Server
	stopper fx.Shutdowner
	log     *slog.Logger
	quit    chan struct{}
	done    chan struct{}
}

func newWatch(server *httpserver.Server, stopper fx.Shutdowner, log *slog.Logger) *watch {
	return &watch{server: server, stopper: stopper, log: log, quit: make(chan struct{}), done: make(chan struct{})}
}

func (w *watch) start() {
	go func() {
		defer close(w.done)
		select {
		case err := <-w.server.Failed():
			w.log.Error("server failed", slog.Any("error", err))
			_ = w.stopper.Shutdown(fx.ExitCode(1)) // Fails only where the application is stopping already.
		case <-w.quit:
		}
	}()
}

func (w *watch) stop() {
	close(w.quit)
	<-w.done
}

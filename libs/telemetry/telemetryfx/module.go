// Package telemetryfx wires package telemetry into an fx application.
package telemetryfx

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/callplane/callplane/libs/telemetry"
)

// Config is what the application supplies.
type Config struct {
	Service   string
	Version   string
	LogFormat string // telemetry.FormatJSON or FormatText
	LogLevel  string
	Output    io.Writer // of the log
}

// Module provides *slog.Logger, *prometheus.Registry, prometheus.Registerer and prometheus.Gatherer from a supplied Config, and keeps
// OpenTelemetry set up from start to stop.
var Module = fx.Module("telemetry",
	fx.Provide(newLogger, newRegistry),
	fx.Invoke(setup),
)

// LogEvents has fx report to the application's log: what it does at level debug, failures as errors.
var LogEvents = fx.WithLogger(func(log *slog.Logger) fxevent.Logger {
	events := &fxevent.SlogLogger{Logger: log}
	events.UseLogLevel(slog.LevelDebug)
	return events
})

func newLogger(config Config) (*slog.Logger, error) {
	return telemetry.NewLogger(config.Output, config.LogFormat, config.LogLevel, config.Service)
}

type metrics struct {
	fx.Out

	Registry   *prometheus.Registry
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
}

func newRegistry(config Config) metrics {
	registry := telemetry.NewRegistry(config.Service, config.Version)
	return metrics{Registry: registry, Registerer: registry, Gatherer: registry}
}

// setup runs before what follows it is constructed, since libraries take the global tracer when they are.
func setup(lifecycle fx.Lifecycle, log *slog.Logger, config Config) error {
	shutdown, err := telemetry.Setup(context.Background(), log, config.Service, config.Version)
	if err != nil {
		return fmt.Errorf("set up telemetry: %w", err)
	}
	lifecycle.Append(fx.StopHook(shutdown))
	return nil
}

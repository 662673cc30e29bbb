// Command bridge is the bridge service: everything that speaks to LiveKit.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"go.uber.org/fx"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq/deadcommand"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres/migrations"
	"github.com/callplane/callplane/services/bridge/internal/wiring"
)

// version is set when the program is built.
var version = "dev"

const usage = `bridge speaks to LiveKit for Callplane: tokens, webhooks and rooms.

Usage: bridge [command]

Commands:
  serve        run the service (default)
  migrate      bring the database schema up to date
  version      print the version
  healthcheck  ask the service on this machine whether it is ready
  help         print this
` + deadcommand.Usage + `
Settings, by environment variable; those that are secret also as NAME_FILE:
`

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run carries a command out and returns the exit status: 0, 1 where it failed, 2 where it was not understood.
func run(args, environ []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command = args[0]
	}
	var err error
	switch command {
	case "serve":
		return serve(environ, stdout, stderr)
	case "migrate":
		err = migrate(environ)
	case "version":
		_, err = fmt.Fprintf(stdout, "bridge %s (%s)\n", version, runtime.Version())
	case "healthcheck":
		err = healthcheck(environ)
	case "dead":
		err = dead(args[1:], environ, stdout)
	case "help", "--help", "-h":
		if _, err = io.WriteString(stdout, usage); err == nil {
			err = config.Usage[wiring.Settings](stdout)
		}
	default:
		_, _ = fmt.Fprintf(stderr, "bridge: there is no command %q\n\n%s", command, usage)
		return 2
	}
	return status(err, stderr)
}

func status(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "bridge: %v\n", err)
	return 1
}

func serve(environ []string, stdout, stderr io.Writer) int {
	settings, err := config.Load[wiring.Settings](environ)
	if err != nil {
		return status(err, stderr)
	}
	app := fx.New(wiring.Options(settings, wiring.Build{Version: version, Output: stdout}))
	starting, cancel := context.WithTimeout(context.Background(), app.StartTimeout())
	defer cancel()
	if err := app.Start(starting); err != nil {
		return status(err, stderr)
	}
	ended := <-app.Wait()
	stopping, cancel := context.WithTimeout(context.Background(), app.StopTimeout())
	defer cancel()
	return max(ended.ExitCode, status(app.Stop(stopping), stderr))
}

func migrate(environ []string) error {
	settings, err := config.Load[wiring.MigrateSettings](environ)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = postgres.Migrate(ctx, settings.URL.Reveal(), migrations.Files, migrations.Dir)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the schema was up to date; run it again")
	}
	return err
}

func dead(args, environ []string, stdout io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return deadcommand.Run(ctx, deadcommand.Service{Exchange: topology.BridgeEvents, User: topology.UserBridge}, args, environ, stdout)
}

func healthcheck(environ []string) error {
	settings, err := config.Load[wiring.HTTPSettings](environ)
	if err != nil {
		return err
	}
	return httpserver.HealthcheckCommand(settings.Addr)
}

// Command sessions is the service that owns the public API and the life of calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/rabbitmq/deadcommand"
	"github.com/callplane/callplane/services/sessions/internal/wiring"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// takesArguments names the commands that do.
var takesArguments = map[string]bool{"verify": true, "quarantine": true, "dead": true}

// run carries out a command and returns the status to exit with.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command = args[0]
	}
	if len(args) > 1 && !takesArguments[command] {
		command = ""
	}
	var status int
	var err error
	switch command {
	case "serve":
		status, err = serve(ctx, environ, out)
	case "migrate":
		err = wiring.Migrate(ctx, environ)
	case "version":
		_, err = fmt.Fprintln(out, version)
	case "healthcheck":
		err = healthcheck(environ) //nolint:contextcheck // It bounds itself, shorter than who asks waits.
	case "verify":
		status, err = wiring.Verify(ctx, args[1:], environ, out, errOut)
	case "quarantine":
		err = wiring.Quarantine(ctx, args[1:], environ, out)
	case "dead":
		err = deadcommand.Run(ctx, deadcommand.Service{Exchange: topology.SessionsEvents, User: topology.UserSessions}, args[1:], environ, out)
	case "help", "--help", "-h":
		err = wiring.Usage(out)
	default:
		err = errors.New("unknown command; run with --help to see the commands")
	}
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "sessions:", err) // There is no other place to tell it.
		return max(status, 1)
	}
	return status
}

// collectAt has the garbage collector run half as often as Go's default: with thousands of streams open each run delays events.
const collectAt = 200

func serve(ctx context.Context, environ []string, out io.Writer) (int, error) {
	if !slices.ContainsFunc(environ, func(setting string) bool { return strings.HasPrefix(setting, "GOGC=") }) {
		debug.SetGCPercent(collectAt)
	}
	settings, err := config.Load[wiring.Settings](environ)
	if err != nil {
		return 2, err
	}
	return wiring.Serve(ctx, settings, wiring.Build{Version: version, Output: out})
}

func healthcheck(environ []string) error {
	type settings struct {
		HTTPAddr string `env:"HTTP_ADDR" envDefault:":8080"`
	}
	asked, err := config.Load[settings](environ)
	if err != nil {
		return err
	}
	return httpserver.HealthcheckCommand(asked.HTTPAddr)
}

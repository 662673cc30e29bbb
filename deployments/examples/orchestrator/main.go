// Command orchestrator is an example of a program beside the call: it follows what is said over RabbitMQ and answers with actions.
//
// It may be killed at any moment. What it has in hand then comes again, and because its events are derived from the one that caused them,
// doing everything again changes nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/rabbitmq"
)

type settings struct {
	AMQPURL  config.Secret `env:"AMQP_URL,required" validate:"url" help:"RabbitMQ URL, such as amqp://orchestrator:password@host:5672/%2F"`
	APIURL   string        `env:"API_URL" validate:"url" help:"URL of the sessions API, to keep checkpoints; none are kept without it"`
	APIToken config.Secret `env:"API_TOKEN" help:"JWT with the scope call:read"`
	APIUser  string        `env:"API_DEV_USER" help:"instead of a token, where sessions runs with AUTH_MODE=dev"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "orchestrator:", err) // There is no other place to tell it.
		os.Exit(1)
	}
}

// run follows calls until ctx ends.
func run(ctx context.Context, args, environ []string, out io.Writer) error {
	if len(args) > 0 {
		if args[0] != "--help" {
			return errors.New("it takes no arguments; run with --help to see the settings")
		}
		return config.Usage[settings](out)
	}
	set, err := config.Load[settings](environ)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(out, nil))
	// Two connections, because the broker blocks those that publish when it runs out of memory or disk.
	publishing, err := rabbitmq.NewConnector(rabbitmq.Config{URL: set.AMQPURL, Name: appID + "-publishing", Logger: log})
	if err != nil {
		return err
	}
	consuming, err := rabbitmq.NewConnector(rabbitmq.Config{URL: set.AMQPURL, Name: appID + "-consuming", Logger: log})
	if err != nil {
		return err
	}
	rabbitmq.AwaitPartitionsOn(publishing)
	checkpoints := newCheckpoints(set, log)
	defer checkpoints.close()
	follower := follower{
		name: publishing.User(), publisher: rabbitmq.NewPublisher(publishing, appID), keep: checkpoints.keep, log: log,
	}
	consuming.Serve(follower.follow)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return publishing.Run(ctx) })
	group.Go(func() error { return consuming.Run(ctx) })
	return group.Wait()
}

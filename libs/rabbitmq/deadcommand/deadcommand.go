// Package deadcommand is the command by which people look after the messages that a service could not accept: list, show and requeue.
package deadcommand

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/rabbitmq"
)

// Usage are the lines of a service's --help.
const Usage = `  dead list [--limit N] [--json]   the events that could not be accepted, the oldest first; they stay where they are
  dead show ID [--json]            one of them, with all headers and its body
  dead requeue ID... | --all       put them back to be handled again, once the cause is repaired
                                   (dead needs AMQP_URL alone, with the service's own user)
`

// Bounds of a list.
const (
	defaultLimit = 50
	maxLimit     = 1000
)

// Service says whose dead queue it is.
type Service struct {
	Exchange string // the consistent-hash exchange whose consumer parks messages
	User     string // the service's broker user
}

// settings are all that the command needs.
type settings struct {
	URL config.Secret `env:"AMQP_URL,required" validate:"url" help:"RabbitMQ URL of the service's own user"`
}

// Run carries out what follows "dead" on the command line. What it tells goes to out; an error says what is to be done.
func Run(ctx context.Context, s Service, args, environ []string, out io.Writer) error {
	asked, err := parse(args)
	if err != nil {
		return err
	}
	set, err := config.Load[settings](environ)
	if err != nil {
		return err
	}
	queue, err := rabbitmq.NewDeadQueue(rabbitmq.Config{URL: set.URL, Name: s.User + "-dead", Logger: slog.New(slog.DiscardHandler)}, s.Exchange)
	if err != nil {
		return err
	}
	switch asked.verb {
	case "list":
		return list(ctx, queue, asked, out)
	case "show":
		return show(ctx, queue, asked, out)
	default:
		if queue.User() != s.User {
			return fmt.Errorf("AMQP_URL has user %q; only %q itself may put messages back, from anybody else they would be parked again",
				queue.User(), s.User)
		}
		return requeue(ctx, queue, asked, out)
	}
}

// request is what was asked for.
type request struct {
	verb  string
	ids   []string
	limit int
	json  bool
	all   bool
}

var errUsage = errors.New("give one of:\n" + strings.TrimSuffix(Usage, "\n"))

func parse(args []string) (request, error) {
	if len(args) == 0 {
		return request{}, errUsage
	}
	r := request{verb: args[0]}
	flags := flag.NewFlagSet("dead "+r.verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch r.verb {
	case "list":
		flags.IntVar(&r.limit, "limit", defaultLimit, "")
		flags.BoolVar(&r.json, "json", false, "")
	case "show":
		flags.BoolVar(&r.json, "json", false, "")
	case "requeue":
		flags.BoolVar(&r.all, "all", false, "")
	default:
		return request{}, errUsage
	}
	// Flags may stand behind the IDs too.
	for rest := args[1:]; ; {
		if err := flags.Parse(rest); err != nil {
			return request{}, fmt.Errorf("%w; %w", err, errUsage)
		}
		if flags.NArg() == 0 {
			return r, r.check()
		}
		r.ids, rest = append(r.ids, flags.Arg(0)), flags.Args()[1:]
	}
}

func (r request) check() error {
	fits := false
	switch r.verb {
	case "list":
		if r.limit < 1 || r.limit > maxLimit {
			return fmt.Errorf("--limit is from 1 to %d", maxLimit)
		}
		fits = len(r.ids) == 0
	case "show":
		fits = len(r.ids) == 1
	case "requeue":
		fits = r.all != (len(r.ids) > 0)
	}
	if !fits {
		return errUsage
	}
	return nil
}

func list(ctx context.Context, queue *rabbitmq.DeadQueue, asked request, out io.Writer) error {
	messages, more, err := queue.List(ctx, asked.limit)
	if err != nil {
		return err
	}
	if asked.json {
		return writeJSON(out, listOf(messages, more))
	}
	return writeTable(out, messages, more)
}

func show(ctx context.Context, queue *rabbitmq.DeadQueue, asked request, out io.Writer) error {
	messages, err := queue.Show(ctx, asked.ids[0])
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		return fmt.Errorf("no parked message has the ID %q", asked.ids[0])
	}
	for _, m := range messages {
		if asked.json {
			err = writeJSON(out, wholeOf(m))
		} else {
			err = writeWhole(out, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func requeue(ctx context.Context, queue *rabbitmq.DeadQueue, asked request, out io.Writer) error {
	seen := map[string]bool{}
	done, err := queue.Requeue(ctx, func(m rabbitmq.ParkedMessage) bool {
		seen[m.ID] = true
		return asked.all || slices.Contains(asked.ids, m.ID)
	})
	if _, told := fmt.Fprintf(out, "%d put back\n", done.Count); told != nil {
		err = errors.Join(err, told)
	}
	for _, left := range done.Left {
		err = errors.Join(err, fmt.Errorf("%s stays parked: %s", plain(left.ID), left.Why))
	}
	for _, id := range asked.ids {
		if err == nil && !seen[id] {
			err = fmt.Errorf("no parked message has the ID %q", id)
		}
	}
	return err
}

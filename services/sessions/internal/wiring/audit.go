package wiring

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/callplane/callplane/libs/config"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// auditSettings are all that commands need which only read.
type auditSettings struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required" validate:"url" help:"PostgreSQL URL, as the role that reads and writes"`
}

// Commands that look at the database of a service that runs, or of one that does not.
const (
	VerifyUsage     = "verify [--session ID]"
	QuarantineUsage = "quarantine list [--session ID] [--limit N] [--json]"
)

// progressEvery is how often a long command says how far it is.
const progressEvery = 5 * time.Second

// Verify compares stored sessions with their logs, tells each difference on out and how far it is on errOut, and returns the status to exit
// with: 1 where a session differs.
func Verify(ctx context.Context, args, environ []string, out, errOut io.Writer) (int, error) {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	session := flags.String("session", "", "")
	if err := parse(flags, args, session); err != nil {
		return 1, fmt.Errorf("%w; usage: sessions %s", err, VerifyUsage)
	}
	var verified app.Verified
	err := withStore(ctx, environ, func(store *postgres.Store) error {
		said := time.Now()
		uc := app.VerifySessions{
			Audit: store,
			Differs: func(id string, found []domain.Difference) {
				for _, d := range found {
					_, _ = fmt.Fprintf(out, "session %s: %s: stored %.300q, by its log %.300q\n", id, d.Field, d.Stored, d.Logged)
				}
			},
			Progress: func(count int) {
				if time.Since(said) >= progressEvery {
					said = time.Now()
					_, _ = fmt.Fprintf(errOut, "%d sessions so far\n", count)
				}
			},
		}
		var err error
		if *session == "" {
			verified, err = uc.All(ctx)
		} else {
			verified, err = uc.One(ctx, *session)
		}
		return err
	})
	if err != nil {
		return 1, err
	}
	_, err = fmt.Fprintf(errOut, "%d sessions verified, %d differ from their logs\n", verified.Sessions, verified.Differing)
	if verified.Differing > 0 {
		return 1, err
	}
	return 0, err
}

// quarantineShown is how many events are listed unless somebody asks for more.
const quarantineShown = 50

// Quarantine lists what was set aside, the latest first.
func Quarantine(ctx context.Context, args, environ []string, out io.Writer) error {
	usage := errors.New("usage: sessions " + QuarantineUsage)
	if len(args) == 0 || args[0] != "list" {
		return usage
	}
	flags := flag.NewFlagSet("quarantine list", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	session, limit := flags.String("session", "", ""), flags.Int("limit", quarantineShown, "")
	asJSON := flags.Bool("json", false, "")
	if err := parse(flags, args[1:], session); err != nil {
		return fmt.Errorf("%w; %w", err, usage)
	}
	if *limit < 1 {
		return fmt.Errorf("--limit must be at least 1; %w", usage)
	}
	return withStore(ctx, environ, func(store *postgres.Store) error {
		list, err := app.ListQuarantined{Quarantine: store}.Do(ctx, ports.QuarantineRequest{SessionID: *session, Limit: *limit})
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSONLines(out, list)
		}
		return writeTable(out, list)
	})
}

func parse(flags *flag.FlagSet, args []string, session *string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("nothing is known of %q", flags.Arg(0))
	}
	if *session == "" {
		return nil
	}
	id, err := uuid.Parse(*session)
	if err != nil {
		return errors.New("--session must be a session's id, a UUID")
	}
	*session = id.String()
	return nil
}

// withStore opens the database for one piece of work.
func withStore(ctx context.Context, environ []string, work func(*postgres.Store) error) error {
	settings, err := config.Load[auditSettings](environ)
	if err != nil {
		return err
	}
	db, err := libpostgres.Open(ctx, settings.DatabaseURL.Reveal(), libpostgres.Options{ApplicationName: Service + "-audit"})
	if err != nil {
		return err
	}
	return errors.Join(work(postgres.NewStore(db, "", func(...string) {})), libpostgres.Close(db))
}

func writeJSONLines(out io.Writer, list []ports.SetAside) error {
	encoder := json.NewEncoder(out)
	for _, q := range list {
		if err := encoder.Encode(q); err != nil {
			return fmt.Errorf("list what was set aside: %w", err)
		}
	}
	return nil
}

func writeTable(out io.Writer, list []ports.SetAside) error {
	const gap = 2
	table := tabwriter.NewWriter(out, 0, 0, gap, ' ', 0)
	_, _ = fmt.Fprintln(table, "TIME\tREASON\tTYPE\tSESSION\tEVENT\tDETAIL") // An error comes again from Flush.
	for _, q := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%q\n", q.At.Format(time.RFC3339), q.Reason, q.Type, q.SessionID, q.EventID, q.Detail)
	}
	return table.Flush()
}

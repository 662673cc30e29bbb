// Command bench runs the benchmarks that hold Callplane to what it promises of its speed and size, each beside its floor: what has to happen
// at least. It makes a table of the ratios with their spread. scripts/bench starts it with what it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are what the command is asked for.
type settings struct {
	root    string   // of the repository
	only    []string // names of parts; none: all
	repeat  int
	profile bool
	images  map[string]string // by service; what an image is called
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = run(ctx, s, os.Stdout)
	}
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// parse reads the arguments; what is wrong with them is written to stderr too.
func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{images: map[string]string{}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "parts to run, by comma: "+strings.Join(partNames(), ", "))
	flags.StringVar(&s.root, "root", ".", "top folder of the repository")
	flags.IntVar(&s.repeat, "repeat", 5, "how often each part is repeated")
	flags.BoolVar(&s.profile, "profile", false, "keep profiles; figures are then not those of a run without")
	images := flags.String("images", "", "images of the services, such as sessions=callplane-sessions, by comma")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.repeat < 1 {
		return s, errors.New("-repeat must be at least 1")
	}
	s.only = words(*only)
	for _, name := range s.only {
		if !slices.Contains(partNames(), name) {
			return s, fmt.Errorf("there is no part %q; the parts are: %s", name, strings.Join(partNames(), ", "))
		}
	}
	for _, pair := range words(*images) {
		service, image, found := strings.Cut(pair, "=")
		if !found {
			return s, fmt.Errorf("-images: %q is not SERVICE=IMAGE", pair)
		}
		s.images[service] = image
	}
	var err error
	s.root, err = filepath.Abs(s.root)
	return s, err
}

// words are the parts of a list by comma.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// whole says whether this is a run whose results are worth keeping with the code.
func (s settings) whole() bool { return len(s.only) == 0 && !s.profile && s.repeat >= worthKeeping }

// worthKeeping is how many repetitions say something about their spread.
const worthKeeping = 5

// folder is where the results go; those of a whole run in which everything went well are kept with the code.
func (s settings) folder(complete bool) string {
	if complete && s.whole() {
		return filepath.Join(s.root, "deployments", "systemtest", "bench")
	}
	return filepath.Join(s.root, ".run", "bench")
}

// run runs the parts and writes the results, also those of the parts before one that failed.
func run(ctx context.Context, s settings, stdout io.Writer) error {
	began := time.Now()
	machine, err := describe(ctx, s.root)
	if err != nil {
		return err
	}
	r := &runner{settings: s, stdout: stdout, began: began}
	var failed error
	for _, suite := range suites {
		if suite = suite.only(s.only); len(suite.parts) == 0 {
			continue
		}
		if err := r.suite(ctx, suite); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", suite.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() == nil && (len(s.only) == 0 || slices.Contains(s.only, imagesPart)) {
		failed = errors.Join(failed, r.images(ctx))
	}
	measured, err := read(r.raw.Bytes())
	if err != nil {
		return errors.Join(failed, err)
	}
	report := report{Machine: machine, Repetitions: s.repeat, Seconds: int(time.Since(began).Seconds()), Figures: measured.figures()}
	folder := s.folder(failed == nil)
	if err := write(folder, report, r.raw.Bytes()); err != nil {
		return errors.Join(failed, err)
	}
	r.say("written to %s\n\n%s", relative(s.root, folder), report.markdown())
	if s.profile {
		r.say("profiles are in %s", relative(s.root, r.profiles()))
	}
	return failed
}

func relative(root, path string) string {
	if short, err := filepath.Rel(root, path); err == nil {
		return short
	}
	return path
}

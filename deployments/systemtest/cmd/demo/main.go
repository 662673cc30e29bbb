// Command demo has a real call on a running Callplane: two LiveKit clients join a session with tokens from the API, talk, one leaves
// and the other ends the call. It shows the session's timeline as it happens, and fails when the call doesn't go as it should.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// deadline is how long the whole demo may take.
const deadline = 60 * time.Second

func main() {
	os.Exit(run(os.Environ(), os.Stdout, os.Stderr))
}

// run has the call and gives the exit code: 0 when everything came as expected, 1 when not, 2 for settings that can't be used.
func run(environ []string, stdout *os.File, stderr io.Writer) int {
	s, err := loadSettings(environ)
	if err != nil {
		say(stderr, "demo: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, deadline,
		fmt.Errorf("the demo's deadline of %s is over", deadline))
	defer cancel()

	d := newDemo(s, newTimeline(stdout, coloured(stdout, environ)))
	if err := d.play(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		// The report has its own time: it is what the user needs most when the demo's is over.
		late, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer end()
		d.report(late, stderr, err)
		d.cleanUp(late)
		return 1
	}
	d.farewell(stdout)
	return 0
}

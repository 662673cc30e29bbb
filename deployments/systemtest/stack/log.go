package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/libs/testkit"
)

// Line names one event of a log: its type, the user it is about, its reason and the code of its error, where it has them.
func Line(e events.Envelope) (string, error) {
	payload, err := Details(e)
	if err != nil {
		return "", err
	}
	words := []string{string(e.Type), payload.UserID, payload.Reason, payload.Error.Code}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " "), nil
}

// AwaitLog waits until the session's log has the lines wanted in any order, and nothing else, and gives it.
func (s *Stack) AwaitLog(t testing.TB, sessionID, user string, want ...string) []callplane.Event {
	t.Helper()
	var log []callplane.Event
	testkit.Eventually(t, Patience, func(ctx context.Context) error {
		var err error
		if log, err = s.API.As(user).Log(ctx, sessionID); err != nil {
			return err
		}
		lines, err := Lines(log)
		if err != nil {
			return err
		}
		got, sorted := slices.Sorted(slices.Values(lines)), slices.Sorted(slices.Values(want))
		if !slices.Equal(got, sorted) {
			return fmt.Errorf("the log is\n  %s\nand should hold\n  %s", strings.Join(lines, "\n  "), strings.Join(want, "\n  "))
		}
		return nil
	})
	return log
}

// AwaitEvent waits until the session's log has the line.
func (s *Stack) AwaitEvent(t testing.TB, sessionID, user, want string) {
	t.Helper()
	testkit.Eventually(t, Patience, func(ctx context.Context) error {
		log, err := s.API.As(user).Log(ctx, sessionID)
		if err != nil {
			return err
		}
		lines, err := Lines(log)
		if err == nil && !slices.Contains(lines, want) {
			err = fmt.Errorf("the log has no %q:\n  %s", want, strings.Join(lines, "\n  "))
		}
		return err
	})
}

// Lines names all events of a log.
func Lines(log []callplane.Event) ([]string, error) {
	lines := make([]string, len(log))
	for i, e := range log {
		var err error
		if lines[i], err = Line(e.Envelope); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

//go:build integration

package systemtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// told is a test that keeps what fails it, and does not fail.
type told struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

// Error implements testing.TB.
func (f *told) Error(args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, fmt.Sprint(args...))
}

func (f *told) await(t *testing.T) string {
	t.Helper()
	testkit.Eventually(t, stack.Patience, func(context.Context) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.failures) == 0 {
			return errors.New("nothing has failed the test")
		}
		return nil
	})
	require.Len(t, f.failures, 1)
	return f.failures[0]
}

// TestTheObserverFailsOnWhatBreaksItsSchema publishes a good event and one with a field too many, as the broker lets anybody do: the second fails
// the test of a stack that it is published on.
func TestTheObserverFailsOnWhatBreaksItsSchema(t *testing.T) {
	t.Parallel()
	vhost := testkit.Rabbit(t).Vhost(t)
	watching := &told{TB: t}
	observed := stack.Observe(watching, vhost)
	session := uuid.NewString()
	publishTranscripts(t, vhost, transcriptOf(t, session, "good"))
	observed.Await(t, session, 1)
	require.Empty(t, watching.failures)

	bad := transcriptOf(t, session, "bad")
	bad.Body = bytes.Replace(bad.Body, []byte(`"payload":{`), []byte(`"payload":{"mood":"good",`), 1)
	publishTranscripts(t, vhost, bad)
	require.Contains(t, watching.await(t), "breaks its published schema")
}

// TestTheObserverFailsOnWhatPassesForValid: what a test expects to be found out has to be.
func TestTheObserverFailsOnWhatPassesForValid(t *testing.T) {
	t.Parallel()
	vhost := testkit.Rabbit(t).Vhost(t)
	watching := &told{TB: t}
	observed := stack.Observe(watching, vhost)
	good := transcriptOf(t, uuid.NewString(), "good")
	observed.ExpectInvalid(good.MessageId)
	publishTranscripts(t, vhost, good)
	require.Contains(t, watching.await(t), "passes for a valid one")
}

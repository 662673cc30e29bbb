//go:build integration

package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const unpublished = "SELECT count(*) FROM outbox WHERE published_at IS NULL"

// drained waits until nothing is left to be published, to be handled, or to be looked at by people.
func (l *load) drained(t *testing.T) {
	t.Helper()
	for _, db := range []stack.Database{l.s.SessionsDB, l.s.BridgeDB} {
		testkit.Eventually(t, 2*stack.Patience, func(context.Context) error {
			if n := count(t, db.AdminURL, unpublished); n > 0 {
				return fmt.Errorf("%d events are not published", n)
			}
			return nil
		})
	}
	var queues []string
	for _, exchange := range []string{topology.SessionsEvents, topology.BridgeEvents} {
		for n := range topology.DefaultPartitions {
			queues = append(queues, topology.PartitionQueue(exchange, n))
		}
		queues = append(queues, topology.DeadQueue(exchange))
	}
	awaitEmpty(t, l.s, queues...)
}

// check holds each session's log to what was acknowledged, to what the services had to publish, and to what was published.
func (l *load) check(t *testing.T) {
	t.Helper()
	owned, cursor := 0, ""
	for more := true; more; {
		page, err := l.s.API.As(loadOwner).List(t.Context(), cursor, 200)
		require.NoError(t, err)
		owned += len(page.Items)
		if more = page.NextCursor != nil; more {
			cursor = *page.NextCursor
		}
	}
	require.Equal(t, loadSessions, owned, "each creation has made one session")
	logged, again := 0, 0
	bySessions, byBridge := madeBy(t, l.s.SessionsDB), madeBy(t, l.s.BridgeDB)
	for _, one := range l.sessions {
		made := [][]string{bySessions[one.sessionID], byBridge[one.sessionID]}
		log := l.logOf(t, one, len(made[0])+len(made[1]))
		requireAcknowledged(t, one, log)
		again += l.requirePublished(t, one.sessionID, log, made)
		logged += len(log)
	}
	require.Empty(t, query(t, l.s.SessionsDB.AdminURL,
		"SELECT concat_ws(' ', session_id, type, event_id, reason, detail) FROM quarantine ORDER BY id"))
	t.Logf("%d writes were acknowledged after %d retries; %d events are logged, %d were published again",
		l.acked.Load(), l.retried.Load(), logged, again)
}

// logOf waits until the log of a session has all that the services have made of it, and gives it.
func (l *load) logOf(t *testing.T, one *loaded, made int) []callplane.Event {
	t.Helper()
	var log []callplane.Event
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) error {
		var err error
		if log, err = l.s.API.As(loadOwner).Log(ctx, one.sessionID); err == nil && len(log) < made {
			err = fmt.Errorf("%d of %d events are logged", len(log), made)
		}
		return err
	})
	require.Len(t, log, made, "the log has what nobody made, or something twice")
	return log
}

// madeBy gives the ids of the events that a service had to publish of each session, in the order of its outbox.
func madeBy(t *testing.T, db stack.Database) map[string][]string {
	t.Helper()
	made := map[string][]string{}
	for _, row := range query(t, db.AdminURL, "SELECT partition_key || ' ' || message_id FROM outbox ORDER BY id") {
		session, id, _ := strings.Cut(row, " ")
		made[session] = append(made[session], id)
	}
	return made
}

// requireAcknowledged: each acknowledged write is in the log once, in its order, and no other is.
func requireAcknowledged(t *testing.T, one *loaded, log []callplane.Event) {
	t.Helper()
	var said []string
	changes := 0
	for _, e := range log {
		switch e.Type {
		case events.TranscriptFinal:
			said = append(said, e.EventID)
		case events.CallUpdated:
			payload, err := events.DecodePayload[events.CallUpdatedPayload](e.Envelope)
			require.NoError(t, err)
			changes++
			require.JSONEq(t, fmt.Sprintf(`{"change":%d}`, changes), string(payload.Changes.Metadata))
		default:
		}
	}
	require.Equal(t, one.said, said)
	require.Equal(t, one.changes, changes)
}

// requirePublished: what each service had to publish is in the log once, in the order of its outbox, and was published in that order with the
// same content, maybe again. made is by service. It gives how many were published again.
func (l *load) requirePublished(t *testing.T, sessionID string, log []callplane.Event, made [][]string) (again int) {
	t.Helper()
	content := map[string]json.RawMessage{}
	var logged, seen []string
	for _, e := range log {
		require.NotContains(t, content, e.EventID, "it is logged twice")
		content[e.EventID] = e.Raw
		logged = append(logged, e.EventID)
	}
	testkit.Eventually(t, stack.Patience, func(context.Context) error {
		if missing := l.s.Observed.Missing(logged); len(missing) > 0 {
			return fmt.Errorf("%d of %d events were not published", len(missing), len(logged))
		}
		return nil
	})
	observed := l.s.Observed.Of(sessionID)
	for _, e := range observed {
		require.Contains(t, content, e.EventID, "it was published and is not logged")
		require.JSONEq(t, string(content[e.EventID]), string(e.Raw))
		if !slices.Contains(seen, e.EventID) {
			seen = append(seen, e.EventID)
		}
	}
	for _, ids := range made {
		inOrder := append([]string{}, ids...) // none of the bridge's where nobody called
		others := func(id string) bool { return !slices.Contains(inOrder, id) }
		require.Equal(t, inOrder, slices.DeleteFunc(slices.Clone(logged), others), "as it is logged")
		require.Equal(t, inOrder, slices.DeleteFunc(slices.Clone(seen), others), "as it was published")
	}
	return len(observed) - len(log)
}

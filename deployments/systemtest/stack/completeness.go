package stack

import (
	"context"
	"testing"
	"time"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
)

// checkObserved holds what was seen on the events exchange to what both services have noted as published there: the observer has seen, and so
// checked, all of it.
func (s *Stack) checkObserved(t testing.TB) {
	if t.Failed() {
		return // Servers may be away, and it says enough.
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience) // The test's own context has ended.
	defer cancel()
	var published []string
	for _, db := range []Database{s.SessionsDB, s.BridgeDB} {
		ids, err := publishedIDs(ctx, db)
		if err != nil {
			t.Errorf("reading what was published: %v", err)
			return
		}
		published = append(published, ids...)
	}
	for missing := s.Observed.Missing(published); len(missing) > 0 && !t.Failed(); missing = s.Observed.Missing(published) {
		select {
		case <-ctx.Done():
			t.Errorf("the observer has not seen %d of %d messages: %v", len(missing), len(published), missing)
		case <-time.After(redialPause):
		}
	}
}

// publishedIDs lists the ids of the events that a service has published; none where it never ran and has no tables.
func publishedIDs(ctx context.Context, db Database) ([]string, error) {
	tables, err := testkit.Texts(ctx, db.AdminURL, "SELECT tablename::text FROM pg_tables WHERE tablename = 'outbox'")
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	return testkit.Texts(ctx, db.AdminURL,
		"SELECT message_id::text FROM outbox WHERE published_at IS NOT NULL AND exchange = $1", topology.EventsExchange)
}

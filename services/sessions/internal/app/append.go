// Package app holds the use cases of the sessions service, one a file. Each does its work in one transaction of the store.
package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// sealed makes entries of the drafts that begin here. They go to the log and to the outbox. One that breaks its contract is refused and
// counted, and what was to be told by it must not be stored either.
func sealed(ids ports.IDs, counters ports.Counters, sessionID string, drafts []events.Draft, now time.Time) ([]ports.Entry, error) {
	entries := make([]ports.Entry, 0, len(drafts))
	for _, draft := range drafts {
		id, err := ids.NewID()
		if err != nil {
			return nil, fmt.Errorf("sealing events of session %s: %w", sessionID, err)
		}
		event, err := events.Seal(id, sessionID, draft)
		var invalid *events.InvalidEventError
		if errors.As(err, &invalid) {
			counters.EmissionRefused(string(invalid.Type))
		}
		if err != nil {
			return nil, fmt.Errorf("sealing events of session %s: %w", sessionID, err)
		}
		entries = append(entries, ports.Entry{
			Event: event.Envelope(), JSON: event.JSON(), Digest: event.Digest(), AppendedAt: now, Publish: true,
		})
	}
	return entries, nil
}

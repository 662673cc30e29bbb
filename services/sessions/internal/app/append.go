// Package app holds the use cases of the sessions service, one a file. Each does its work in one transaction of the store.
package app

import (
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// sealed makes entries of the drafts that begin here. They go to the log and to the outbox.
func sealed(ids ports.IDs, sessionID string, drafts []events.Draft, now time.Time) ([]ports.Entry, error) {
	entries := make([]ports.Entry, 0, len(drafts))
	for _, draft := range drafts {
		id, err := ids.NewID()
		if err != nil {
			return nil, fmt.Errorf("sealing events of session %s: %w", sessionID, err)
		}
		event, err := events.Seal(id, sessionID, draft)
		if err != nil {
			return nil, fmt.Errorf("sealing events of session %s: %w", sessionID, err)
		}
		entries = append(entries, ports.Entry{
			Event: event.Envelope(), JSON: event.JSON(), Digest: event.Digest(), AppendedAt: now, Publish: true,
		})
	}
	return entries, nil
}

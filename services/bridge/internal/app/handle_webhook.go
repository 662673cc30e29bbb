package app

import (
	"context"
	"fmt"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// HandleWebhook takes in what the provider says. A webhook has its effect once, however often it
// comes; one about a room of somebody else is recorded and otherwise left alone.
type HandleWebhook struct {
	Mappings ports.Mappings
	Tally    ports.Tally
	Nudges   ports.Nudges
	Now      func() time.Time
	Policy   domain.Policy
}

// Do stores the webhook and all that follows from it, or returns an error and stores nothing; the
// provider then sends it again.
func (h HandleWebhook) Do(ctx context.Context, w ports.Webhook) error {
	now := h.Now()
	receipt := ports.Receipt{ID: w.ID, Kind: w.Kind, RoomName: w.RoomName, ReceivedAt: now}
	var change ports.Change
	var outcome domain.Outcome
	decide := func(m domain.Mapping) (ports.Change, error) {
		changed, result := m.Apply(w.Fact, domain.Moment{Now: now, Policy: h.Policy})
		sealed, err := seal(h.Tally, m.SessionID(), result.Events)
		if err != nil {
			return ports.Change{}, err
		}
		outcome = result.Outcome
		change = ports.Change{Mapping: changed, Events: sealed, DeleteRoom: result.DeleteRoom, Permissions: result.Permissions}
		return change, nil
	}
	if w.Fact == nil {
		decide = nil
	}
	reception, err := h.Mappings.Receive(ctx, receipt, decide)
	if err != nil {
		return fmt.Errorf("taking in webhook %s (%s): %w", w.ID, w.Kind, err)
	}
	if reception != ports.Stored {
		h.Tally.Webhook(w.Kind, string(reception))
		return nil
	}
	h.Tally.Webhook(w.Kind, string(outcome))
	announce(h.Tally, h.Nudges, change)
	return nil
}

// Package app holds the use cases of the bridge, one a file.
package app

import (
	"errors"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// seal makes the domain's events ready to be stored. One that breaks its contract is refused and
// counted, and what was to be told by it must not be stored either.
func seal(tally ports.Tally, sessionID string, made []domain.Event) ([]events.Sealed, error) {
	sealed := make([]events.Sealed, 0, len(made))
	for _, e := range made {
		s, err := events.Seal(e.ID, sessionID, e.Draft)
		var invalid *events.InvalidEventError
		if errors.As(err, &invalid) {
			tally.EmissionRefused(string(invalid.Type))
		}
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, s)
	}
	return sealed, nil
}

// announce tells the rest of the process what was stored.
func announce(tally ports.Tally, nudges ports.Nudges, c ports.Change) {
	for _, e := range c.Events {
		tally.EventMade(string(e.Envelope().Type))
	}
	if len(c.Events) > 0 {
		if _, open := c.Mapping.NextCheckAt(); open {
			nudges.Expire()
		}
	}
	if c.DeleteRoom {
		nudges.DeleteRooms()
	}
	if len(c.Permissions) > 0 {
		nudges.Enforce()
	}
}

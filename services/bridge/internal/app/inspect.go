package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// listingAge is how old what the provider has listed may be to say something about now.
const listingAge = 15 * time.Second

// errOldListing says that so much time has passed since the provider was asked that it has to be asked again.
var errOldListing = errors.New("the listing is too old")

// Inspect compares mappings with what the provider lists, and stores what follows.
type Inspect struct {
	Mappings ports.Mappings
	Tally    ports.Tally
	Nudges   ports.Nudges
	Now      func() time.Time
	Window   time.Duration // in which whoever is lost may come back
}

// sight is a mapping, and what the provider listed after it was read.
type sight struct {
	mapping domain.Mapping
	listing domain.Listing
	asked   time.Time // when the provider was
	before  domain.Missing
	expire  bool
	claim   int64
}

// Do returns the mapping after it, and what was missed for the first time. A mapping of which the listing tells no news is not touched, and
// no webhook waits for it.
func (i Inspect) Do(ctx context.Context, s sight) (domain.Mapping, domain.Missing, error) {
	now := i.Now()
	if now.Sub(s.asked) > listingAge {
		return s.mapping, domain.Missing{}, errOldListing
	}
	moment := domain.Moment{Now: now, Window: i.Window}
	inspection := domain.Inspection{Listing: s.listing, Revision: s.mapping.Revision(), Before: s.before, Expire: s.expire}
	after, result, missing := s.mapping.Inspect(inspection, moment)
	if after.Revision() == s.mapping.Revision() && !result.DeleteRoom && len(result.Standings) == 0 {
		return after, missing, nil
	}
	var change ports.Change
	err := i.Mappings.ChangeSession(ctx, s.mapping.SessionID(), func(m domain.Mapping) (ports.Change, error) {
		after, result, missing = m.Inspect(inspection, moment)
		sealed, err := seal(i.Tally, m.SessionID(), result.Events)
		change = ports.Change{
			Mapping: after, Events: sealed, DeleteRoom: result.DeleteRoom, Standings: result.Standings, Claim: s.claim,
		}
		return change, err
	})
	if err != nil {
		return s.mapping, domain.Missing{}, fmt.Errorf("storing what the provider lists of session %s: %w", s.mapping.SessionID(), err)
	}
	for _, e := range change.Events {
		i.Tally.Difference(string(e.Envelope().Type))
	}
	announce(i.Tally, i.Nudges, change)
	return after, missing, nil
}

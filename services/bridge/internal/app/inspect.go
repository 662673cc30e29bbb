package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const (
	// listingAge is how old what the provider has listed may be to say something about now.
	listingAge = 15 * time.Second
	// asksAtOnce bounds how many participants of one room are asked for side by side.
	asksAtOnce = 4
	// askTimeout bounds the asking for the participants of one room.
	askTimeout = 10 * time.Second
)

// errOldListing says that so much time has passed since the provider was asked that it has to be
// asked again.
var errOldListing = errors.New("the listing is too old")

// Inspect compares mappings with what the provider lists, asks for those of whom the listing says
// too little, and stores what follows.
type Inspect struct {
	Mappings     ports.Mappings
	Participants ports.MediaParticipants
	Tally        ports.Tally
	Nudges       ports.Nudges
	Now          func() time.Time
	Policy       domain.Policy
}

// inspection is a mapping, and what the provider listed after it was read.
type inspection struct {
	mapping domain.Mapping
	listing domain.Listing
	asked   time.Time // when the provider was
	silent  map[string]bool
	before  domain.Missing
	expire  bool
	claim   int64
}

// inspected is what an inspection found.
type inspected struct {
	mapping domain.Mapping
	missing domain.Missing
	answers map[string]domain.Answer // that counted, by identity
	failure error                    // why some were not answered for; nil where all were, or none had to be
}

// Do makes one inspection. A mapping of which the listing has no news is not touched, and no
// webhook waits for it. It is decided twice where there are news: on the mapping as it was read, to
// see whether there are any, and under its lock.
func (i Inspect) Do(ctx context.Context, in inspection) (inspected, error) {
	if i.Now().Sub(in.asked) > listingAge {
		return inspected{mapping: in.mapping}, errOldListing
	}
	evidence := domain.Inspection{
		Listing: in.listing, Silent: in.silent, Revision: in.mapping.Revision(), Before: in.before, Expire: in.expire,
	}
	moment := domain.Moment{Now: i.Now(), Policy: i.Policy}
	after, result, missing := in.mapping.Inspect(evidence, moment)
	found := inspected{mapping: after, missing: missing}
	asked := map[string]bool{}
	for ask := unasked(result.Ask, asked); len(ask) > 0; ask = unasked(result.Ask, asked) {
		answers, failure := i.ask(ctx, in.mapping.RoomName(), ask)
		if evidence.Answers == nil {
			evidence.Answers = answers
		}
		maps.Copy(evidence.Answers, answers)
		found.failure, moment.Now = errors.Join(found.failure, failure), i.Now()
		found.mapping, result, found.missing = in.mapping.Inspect(evidence, moment)
	}
	found.answers = evidence.Answers
	for _, identity := range result.Remove {
		err := i.Participants.Remove(ctx, in.mapping.RoomName(), identity)
		if err != nil && !errors.Is(err, ports.ErrNotFound) {
			found.failure = errors.Join(found.failure, err)
		}
	}
	if found.mapping.Revision() == in.mapping.Revision() && !result.DeleteRoom && len(result.Permissions) == 0 {
		return found, nil
	}
	change, err := i.store(ctx, in, evidence, moment, &found)
	if err != nil {
		return inspected{mapping: in.mapping}, fmt.Errorf("storing what the provider lists of session %s: %w", in.mapping.SessionID(), err)
	}
	for _, e := range change.Events {
		i.Tally.Difference(string(e.Envelope().Type))
	}
	announce(i.Tally, i.Nudges, change)
	return found, nil
}

func (i Inspect) store(
	ctx context.Context, in inspection, evidence domain.Inspection, moment domain.Moment, found *inspected,
) (ports.Change, error) {
	var change ports.Change
	err := i.Mappings.ChangeSession(ctx, in.mapping.SessionID(), func(m domain.Mapping) (ports.Change, error) {
		after, result, missing := m.Inspect(evidence, moment)
		if result.Outcome == domain.Conflict {
			found.answers = nil
		}
		sealed, err := seal(i.Tally, m.SessionID(), result.Events)
		found.mapping, found.missing = after, missing
		change = ports.Change{
			Mapping: after, Events: sealed, DeleteRoom: result.DeleteRoom, Permissions: result.Permissions, Noticed: true, Claim: in.claim,
		}
		return change, err
	})
	return change, err
}

// unasked returns, and notes, those who were not asked for yet: each is once, whatever the answer.
func unasked(identities []string, asked map[string]bool) []string {
	var first []string
	for _, identity := range identities {
		if !asked[identity] {
			asked[identity] = true
			first = append(first, identity)
		}
	}
	return first
}

// ask asks for participants of a room. Those of whom no answer came are left out, with why.
func (i Inspect) ask(ctx context.Context, roomName string, identities []string) (map[string]domain.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var mu sync.Mutex
	answers, failures := map[string]domain.Answer{}, []error(nil)
	slots := make(chan struct{}, asksAtOnce)
	var running sync.WaitGroup
	for _, identity := range identities {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			answer, err := i.Participants.Ask(ctx, roomName, identity)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, err)
				return
			}
			answers[identity] = answer
		})
	}
	running.Wait()
	return answers, errors.Join(failures...)
}

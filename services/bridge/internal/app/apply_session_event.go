package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// ErrUnreadable says that an event's payload doesn't hold what its type promises; it never will.
var ErrUnreadable = errors.New("unreadable payload")

// ApplySessionEvent follows what sessions tells of its sessions: members and their roles, and the
// end. Whatever comes twice or late changes nothing.
type ApplySessionEvent struct {
	Mappings ports.Mappings
	Tally    ports.Tally
	Nudges   ports.Nudges
}

// Do takes in one event; types that say nothing to the bridge are passed over. The end of a session
// that was never heard of is kept too, so that a token command that comes late finds it final. The
// error is ErrUnreadable where trying again can't help.
func (a ApplySessionEvent) Do(ctx context.Context, e events.Envelope) error {
	step, err := stepFor(e)
	if err != nil || step == nil {
		return err
	}
	var change ports.Change
	err = a.Mappings.ChangeSession(ctx, e.SessionID, func(m domain.Mapping) (ports.Change, error) {
		changed, deleteRoom := step(m)
		change = ports.Change{Mapping: changed, DeleteRoom: deleteRoom, Permissions: changed.PermissionChanges(m)}
		return change, nil
	})
	if err != nil {
		return fmt.Errorf("following %s of session %s: %w", e.Type, e.SessionID, err)
	}
	a.Tally.SessionEvent(string(e.Type))
	announce(a.Tally, a.Nudges, change)
	return nil
}

// step is what an event does to a mapping, and whether the room must go.
type step func(m domain.Mapping) (domain.Mapping, bool)

func stepFor(e events.Envelope) (step, error) {
	switch e.Type {
	case events.CallCreated:
		return decoded(e, created)
	case events.CallUpdated:
		return decoded(e, func(p events.CallUpdatedPayload) step { return learn(p.SessionVersion) })
	case events.CallMemberAdded:
		return decoded(e, func(p events.CallMemberAddedPayload) step {
			return learn(p.SessionVersion, domain.Member{UserID: p.UserID, Role: p.Role, Version: p.SessionVersion})
		})
	case events.CallMemberUpdated:
		return decoded(e, func(p events.CallMemberUpdatedPayload) step {
			return learn(p.SessionVersion, domain.Member{UserID: p.UserID, Role: p.Role, Version: p.SessionVersion})
		})
	case events.CallMemberRemoved:
		return decoded(e, func(p events.CallMemberRemovedPayload) step {
			return learn(p.SessionVersion, domain.Member{UserID: p.UserID, Version: p.SessionVersion, Removed: true})
		})
	case events.CallEnded:
		return decoded(e, func(p events.CallEndedPayload) step { return finalize(p.SessionVersion) })
	case events.CallFailed:
		return decoded(e, func(p events.CallFailedPayload) step { return finalize(p.SessionVersion) })
	default:
		return nil, nil
	}
}

func decoded[T events.Payload](e events.Envelope, follow func(T) step) (step, error) {
	p, err := events.DecodePayload[T](e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return follow(p), nil
}

// created is nothing to the bridge where another provider carries the call.
func created(p events.CallCreatedPayload) step {
	if p.Provider != events.ProviderLiveKit {
		return nil
	}
	members := make([]domain.Member, 0, len(p.Members))
	for _, m := range p.Members {
		members = append(members, domain.Member{UserID: m.UserID, Role: m.Role, Version: p.SessionVersion})
	}
	return learn(p.SessionVersion, members...)
}

func learn(version int64, members ...domain.Member) step {
	return func(m domain.Mapping) (domain.Mapping, bool) { return m.Learn(version, members...), false }
}

func finalize(version int64) step {
	return func(m domain.Mapping) (domain.Mapping, bool) { return m.Finalize(version) }
}

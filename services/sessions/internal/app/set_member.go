package app

import (
	"context"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// SetMember adds a member to a session, or changes their role.
type SetMember struct {
	Store    ports.SessionStore
	Clock    ports.Clock
	IDs      ports.IDs
	Counters ports.Counters
}

// Do returns whether the member is new. Errors: those of domain.Session.SetMember, ports.ErrUnavailable.
func (uc SetMember) Do(ctx context.Context, caller domain.Principal, id string, member events.Member) (added bool, err error) {
	_, err = uc.Store.Update(ctx, ports.ViewerOf(caller), id, func(session *domain.Session) ([]ports.Entry, error) {
		now := uc.Clock.Now()
		change, err := session.SetMember(caller, member, now)
		if err != nil {
			return nil, err
		}
		added = change.Added
		return sealed(uc.IDs, uc.Counters, id, change.Drafts, now)
	})
	return added, err
}

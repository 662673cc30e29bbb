package app

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// RemoveMember takes a member off a session: somebody else, or the caller.
type RemoveMember struct {
	Store    ports.SessionStore
	Clock    ports.Clock
	IDs      ports.IDs
	Counters ports.Counters
}

// Do removes the member. Errors: those of domain.Session.RemoveMember, ports.ErrUnavailable.
func (uc RemoveMember) Do(ctx context.Context, caller domain.Principal, id, userID string) error {
	_, err := uc.Store.Update(ctx, ports.ViewerOf(caller), id, func(session *domain.Session) ([]ports.Entry, error) {
		now := uc.Clock.Now()
		drafts, err := session.RemoveMember(caller, userID, now)
		if err != nil {
			return nil, err
		}
		return sealed(uc.IDs, uc.Counters, id, drafts, now)
	})
	return err
}

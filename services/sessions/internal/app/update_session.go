package app

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// UpdateSession changes or ends a session.
type UpdateSession struct {
	Store    ports.SessionStore
	Clock    ports.Clock
	IDs      ports.IDs
	Counters ports.Counters
}

// Do applies the patch, all or nothing, and returns the session after it. Errors: those of domain.Session.Authorize and Patch,
// ports.ErrUnavailable.
func (uc UpdateSession) Do(ctx context.Context, caller domain.Principal, id string, patch domain.Patch) (ports.View, error) {
	return uc.Store.Update(ctx, ports.ViewerOf(caller), id, func(session *domain.Session) ([]ports.Entry, error) {
		if err := session.Authorize(caller, domain.ActionChange); err != nil {
			return nil, err
		}
		now := uc.Clock.Now() // under the lock, so that a session's changes are in the order of their times
		drafts, err := session.Patch(patch, caller.Actor(), now)
		if err != nil {
			return nil, err
		}
		return sealed(uc.IDs, uc.Counters, id, drafts, now)
	})
}

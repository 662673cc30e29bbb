package app

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// GetSession shows a session to who may read it.
type GetSession struct {
	Store ports.SessionStore
}

// Do returns the session at one moment. Errors: domain.ErrNotFound, domain.ErrForbidden, ports.ErrUnavailable.
func (uc GetSession) Do(ctx context.Context, caller domain.Principal, id string) (ports.View, error) {
	view, err := uc.Store.Get(ctx, ports.ViewerOf(caller), id)
	if err != nil {
		return ports.View{}, err
	}
	if err := view.Session.Authorize(caller, domain.ActionRead); err != nil {
		return ports.View{}, err
	}
	return view, nil
}

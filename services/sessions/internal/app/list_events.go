package app

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// ListEvents replays a session's log to who may read it.
type ListEvents struct {
	Store ports.SessionStore
}

// Do returns a page. Errors: domain.ErrNotFound, *ports.WatermarkGoneError, ports.ErrUnavailable.
func (uc ListEvents) Do(ctx context.Context, caller domain.Principal, id string, request ports.PageRequest) (ports.Page, error) {
	return uc.Store.Events(ctx, ports.ViewerOf(caller), id, request)
}

package app

import (
	"context"
	"fmt"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// CreateSession makes a session for its caller, or with domain.ScopeAdmin for somebody else.
type CreateSession struct {
	Store ports.SessionStore
	Clock ports.Clock
	IDs   ports.IDs
}

// Do creates the session. spec.OwnerID is empty for the caller's own. Errors: domain.ErrForbidden, *domain.InvalidError,
// ports.ErrUnavailable.
func (uc CreateSession) Do(ctx context.Context, caller domain.Principal, spec domain.Spec) (ports.View, error) {
	if spec.OwnerID == "" {
		spec.OwnerID = caller.UserID
	} else if !caller.Has(domain.ScopeAdmin) {
		return ports.View{}, fmt.Errorf("creating a session for somebody else: %w", domain.ErrForbidden)
	}
	id, err := uc.IDs.NewID()
	if err != nil {
		return ports.View{}, fmt.Errorf("creating a session: %w", err)
	}
	now := uc.Clock.Now()
	session, drafts, err := domain.Create(id, spec, caller.Actor(), now)
	if err != nil {
		return ports.View{}, err
	}
	log, err := sealed(uc.IDs, id, drafts, now)
	if err != nil {
		return ports.View{}, err
	}
	return uc.Store.Create(ctx, session, log)
}

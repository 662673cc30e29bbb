package app

import (
	"context"
	"fmt"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// CreateSession makes a session for its caller, or with domain.ScopeAdmin for somebody else.
type CreateSession struct {
	Store    ports.SessionStore
	Clock    ports.Clock
	IDs      ports.IDs
	Counters ports.Counters
	Keys     ports.IdempotencyStore // for DoOnce; it works on the same sessions as Store
}

// DoOnce is Do for a request with a key: the response of a repeat is the first one's, and replayed is true. Whether the caller may make the
// request at all is asked each time. Errors: those of Do, ports.ErrIdempotencyInProgress, ports.ErrIdempotencyKeyReused.
func (uc CreateSession) DoOnce(
	ctx context.Context, caller domain.Principal, spec domain.Spec, once Idempotency[ports.View],
) (response ports.Response, replayed bool, err error) {
	if _, err := ownerOf(caller, spec); err != nil {
		return ports.Response{}, false, err
	}
	return uc.Keys.Once(ctx, once.requestOf(caller, uc.Clock.Now()), func(store ports.SessionStore) (ports.Response, error) {
		uc.Store = store
		view, err := uc.Do(ctx, caller, spec)
		if err != nil {
			return ports.Response{}, err
		}
		return once.Respond(view)
	})
}

// Do creates the session. spec.OwnerID is empty for the caller's own. Errors: domain.ErrForbidden, *domain.InvalidError,
// ports.ErrUnavailable.
func (uc CreateSession) Do(ctx context.Context, caller domain.Principal, spec domain.Spec) (ports.View, error) {
	owner, err := ownerOf(caller, spec)
	if err != nil {
		return ports.View{}, err
	}
	spec.OwnerID = owner
	id, err := uc.IDs.NewID()
	if err != nil {
		return ports.View{}, fmt.Errorf("creating a session: %w", err)
	}
	now := uc.Clock.Now()
	session, drafts, err := domain.Create(id, spec, caller.Actor(), now)
	if err != nil {
		return ports.View{}, err
	}
	log, err := sealed(uc.IDs, uc.Counters, id, drafts, now)
	if err != nil {
		return ports.View{}, err
	}
	return uc.Store.Create(ctx, session, log)
}

// ownerOf returns whose the session becomes: the caller's, or where they may name one, somebody else's.
func ownerOf(caller domain.Principal, spec domain.Spec) (string, error) {
	if spec.OwnerID == "" {
		return caller.UserID, nil
	}
	if !caller.Has(domain.ScopeAdmin) {
		return "", fmt.Errorf("creating a session for somebody else: %w", domain.ErrForbidden)
	}
	return spec.OwnerID, nil
}

package app

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// GetCheckpoint returns how far a consumer of the caller has come in a session's log.
type GetCheckpoint struct {
	Checkpoints ports.Checkpoints
}

// Do returns what is kept. Errors: domain.ErrNotFound, domain.ErrNoCheckpoint, ports.ErrUnavailable.
func (uc GetCheckpoint) Do(ctx context.Context, caller domain.Principal, id, consumer string) (ports.Checkpoint, error) {
	name := ports.CheckpointName{SessionID: id, Principal: caller.UserID, Consumer: consumer}
	return uc.Checkpoints.Checkpoint(ctx, ports.ViewerOf(caller), name)
}

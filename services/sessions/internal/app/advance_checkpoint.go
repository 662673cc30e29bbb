package app

import (
	"context"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// AdvanceCheckpoint keeps how far a consumer of the caller has come in a session's log.
type AdvanceCheckpoint struct {
	Checkpoints ports.Checkpoints
}

// Do returns what is kept then: the event, or one that is further. Errors: domain.ErrNotFound, domain.ErrEventNotFound,
// *ports.WatermarkGoneError, ports.ErrUnavailable.
func (uc AdvanceCheckpoint) Do(ctx context.Context, caller domain.Principal, id, consumer, eventID string) (ports.Checkpoint, error) {
	name := ports.CheckpointName{SessionID: id, Principal: caller.UserID, Consumer: consumer}
	return uc.Checkpoints.AdvanceCheckpoint(ctx, ports.ViewerOf(caller), name, eventID)
}

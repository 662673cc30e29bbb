package livekit

import (
	"context"
	"errors"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var _ ports.MediaPresence = (*Rooms)(nil)

// Connections implements ports.MediaPresence.
func (r *Rooms) Connections(ctx context.Context, roomName string) ([]domain.Listed, error) {
	infos, err := r.listParticipants(ctx, roomName, callTimeout)
	if errors.Is(err, ports.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return toListed(infos), nil
}

package livekit

import (
	"context"
	"errors"
	"fmt"

	lkproto "github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var _ ports.MediaPresence = (*Rooms)(nil)

// Connected implements ports.MediaPresence.
func (r *Rooms) Connected(ctx context.Context, roomName string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	listed, err := r.client.ListParticipants(ctx, &lkproto.ListParticipantsRequest{Room: roomName})
	var answer twirp.Error
	if errors.As(err, &answer) && answer.Code() == twirp.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing room %s: %w: %w", roomName, ports.ErrUnavailable, err)
	}
	var identities []string
	for _, p := range listed.GetParticipants() {
		if p.GetState() != lkproto.ParticipantInfo_DISCONNECTED {
			identities = append(identities, p.GetIdentity())
		}
	}
	return identities, nil
}

package livekit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	lkproto "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// callTimeout bounds one call to LiveKit's server API.
const callTimeout = 5 * time.Second

// SDKVersion is the version of LiveKit's SDK. The server does not tell its own by its API.
const SDKVersion = lksdk.Version

// Rooms are the rooms of a LiveKit server, by its RoomService API.
type Rooms struct{ client *lksdk.RoomServiceClient }

var (
	_ ports.MediaRooms        = (*Rooms)(nil)
	_ ports.MediaParticipants = (*Rooms)(nil)
)

// NewRooms returns the rooms of the server at apiURL (http, https, ws or wss).
func NewRooms(apiURL, apiKey string, apiSecret config.Secret) *Rooms {
	return &Rooms{client: lksdk.NewRoomServiceClient(apiURL, apiKey, apiSecret.Reveal())}
}

// Delete implements ports.MediaRooms.
func (r *Rooms) Delete(ctx context.Context, roomName string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := r.client.DeleteRoom(ctx, &lkproto.DeleteRoomRequest{Room: roomName})
	if settled(err) {
		return nil
	}
	return fmt.Errorf("deleting room %s: %w: %w", roomName, ports.ErrUnavailable, err)
}

// settled says whether the server did what it was asked, or had nothing to do it to.
func settled(err error) bool {
	var answer twirp.Error
	return err == nil || errors.As(err, &answer) && answer.Code() == twirp.NotFound
}

// revokeNone leaves every token as valid as it is. A server that revokes tokens would otherwise refuse also
// those of the next minute, and with them somebody who is invited again; who comes back without being
// invited is put out again.
const revokeNone = 1

// Remove implements ports.MediaParticipants.
func (r *Rooms) Remove(ctx context.Context, roomName, identity string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := r.client.RemoveParticipant(ctx, &lkproto.RoomParticipantIdentity{Room: roomName, Identity: identity, RevokeTokenTs: revokeNone})
	if settled(err) {
		return nil
	}
	return fmt.Errorf("removing %s from room %s: %w: %w", identity, roomName, ports.ErrUnavailable, err)
}

// SetRole implements ports.MediaParticipants. Tracks that the role does not allow are taken down by the server.
func (r *Rooms) SetRole(ctx context.Context, roomName string, s domain.Standing) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	about, err := about(s.UserID, s.Role)
	if err != nil {
		return err
	}
	_, err = r.client.UpdateParticipant(ctx, &lkproto.UpdateParticipantRequest{
		Room: roomName, Identity: s.Identity, Metadata: about, Permission: grant(roomName, s.Role).ToPermission(),
	})
	if settled(err) {
		return nil
	}
	return fmt.Errorf("changing the rights of %s in room %s: %w: %w", s.Identity, roomName, ports.ErrUnavailable, err)
}

// Ping asks the server for next to nothing: it fails where the server is away or our key is not good.
func (r *Rooms) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := r.client.ListRooms(ctx, &lkproto.ListRoomsRequest{Names: []string{"callplane-ping"}}); err != nil {
		return fmt.Errorf("asking LiveKit: %w: %w", ports.ErrUnavailable, err)
	}
	return nil
}

// Close gives back the connections that the SDK keeps open.
func (r *Rooms) Close() { http.DefaultClient.CloseIdleConnections() }

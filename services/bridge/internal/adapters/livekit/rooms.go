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
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// callTimeout bounds one call to LiveKit's server API.
const callTimeout = 5 * time.Second

// SDKVersion is the version of LiveKit's SDK. The server does not tell its own by its API.
const SDKVersion = lksdk.Version

// Rooms are the rooms of a LiveKit server, by its RoomService API.
type Rooms struct{ client *lksdk.RoomServiceClient }

var _ ports.MediaRooms = (*Rooms)(nil)

// NewRooms returns the rooms of the server at apiURL (http, https, ws or wss).
func NewRooms(apiURL, apiKey string, apiSecret config.Secret) *Rooms {
	return &Rooms{client: lksdk.NewRoomServiceClient(apiURL, apiKey, apiSecret.Reveal())}
}

// Delete implements ports.MediaRooms.
func (r *Rooms) Delete(ctx context.Context, roomName string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := r.client.DeleteRoom(ctx, &lkproto.DeleteRoomRequest{Room: roomName})
	var answer twirp.Error
	if err == nil || errors.As(err, &answer) && answer.Code() == twirp.NotFound {
		return nil
	}
	return fmt.Errorf("deleting room %s: %w: %w", roomName, ports.ErrUnavailable, err)
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

package livekit

import (
	"context"
	"errors"
	"net/http"
	"time"

	lkproto "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// callTimeout bounds one call to LiveKit's server API. LiveKit takes less to find out that no node
// answers for a participant (noResponseText), and the SDK tries calls that have more time than this
// again in other regions, with as much time for each.
const callTimeout = 5 * time.Second

// SDKVersion is the version of LiveKit's SDK. The server does not tell its own by its API.
const SDKVersion = lksdk.Version

// Rooms are the rooms of a LiveKit server, by its RoomService API
// (https://docs.livekit.io/reference/other/roomservice-api/). It is safe for concurrent use.
type Rooms struct {
	client *lksdk.RoomServiceClient
	clock  clock
}

var (
	_ ports.MediaRooms        = (*Rooms)(nil)
	_ ports.MediaParticipants = (*Rooms)(nil)
)

// NewRooms returns the rooms of the server at apiURL (http, https, ws or wss), which trusts the
// key.
func NewRooms(apiURL, apiKey string, apiSecret config.Secret) *Rooms {
	return &Rooms{client: lksdk.NewRoomServiceClient(apiURL, apiKey, apiSecret.Reveal()), clock: newClock(apiURL)}
}

// Delete implements ports.MediaRooms. A room in LiveKit's store whose node is gone can't be
// deleted: creating it once more gives it to a node that lives, which deletes it at the next
// attempt. A node that lives, and is slow to answer, keeps its room.
func (r *Rooms) Delete(ctx context.Context, roomName string) error {
	err := r.delete(ctx, roomName)
	if nodeIsGone(err) || noResponse(err) {
		err = errors.Join(err, r.create(ctx, roomName))
	}
	return failure("deleting room "+roomName, err)
}

func (r *Rooms) delete(ctx context.Context, roomName string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := r.client.DeleteRoom(ctx, &lkproto.DeleteRoomRequest{Room: roomName})
	return err //nolint:wrapcheck // Delete translates it.
}

func (r *Rooms) create(ctx context.Context, roomName string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := r.client.CreateRoom(ctx, &lkproto.CreateRoomRequest{Name: roomName})
	return noAnswer("giving the room to another node", err)
}

// revokeNone leaves every token as valid as it is. A server that revokes tokens would otherwise
// refuse also those of the next minute, and with them a member who is invited again; one who comes
// back without being invited is put out again.
const revokeNone = 1

// Remove implements ports.MediaParticipants.
func (r *Rooms) Remove(ctx context.Context, roomName, identity string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := r.client.RemoveParticipant(ctx, &lkproto.RoomParticipantIdentity{
		Room: roomName, Identity: identity, RevokeTokenTs: revokeNone,
	})
	return failure("removing "+named(identity)+" from room "+roomName, err)
}

// SetRole implements ports.MediaParticipants. The server takes down tracks that the role does not
// allow.
func (r *Rooms) SetRole(ctx context.Context, roomName string, desired domain.DesiredPermission) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	about, err := about(desired.UserID, desired.Role)
	if err != nil {
		return err
	}
	_, err = r.client.UpdateParticipant(ctx, &lkproto.UpdateParticipantRequest{
		Room: roomName, Identity: desired.Identity, Metadata: about, Permission: grant(roomName, desired.Role).ToPermission(),
	})
	return failure("changing the rights of "+named(desired.Identity)+" in room "+roomName, err)
}

// Ask implements ports.MediaParticipants by an update with nothing to change: the node that holds
// the participant answers it with the participant, while the calls that only read answer from
// LiveKit's store.
func (r *Rooms) Ask(ctx context.Context, roomName, identity string) (domain.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := r.client.UpdateParticipant(ctx, &lkproto.UpdateParticipantRequest{Room: roomName, Identity: identity})
	if noResponse(err) {
		return domain.Answer{Kind: domain.NoResponse}, nil
	}
	err = failure("asking for "+named(identity)+" in room "+roomName, err)
	if errors.Is(err, ports.ErrNotFound) {
		return domain.Answer{Kind: domain.NotFound}, nil
	}
	if err != nil {
		return domain.Answer{}, err
	}
	if hasLeft(info) {
		return domain.Answer{Kind: domain.NotFound}, nil
	}
	return domain.Answer{Kind: domain.Found, Found: listed(info)}, nil
}

// named returns an identity for an error: one that is not ours may be as long as a URL.
func named(identity string) string { return events.Bounded(identity, domain.MaxIdentity) }

// notOurs is the name of a room that no session has.
const notOurs = "callplane-ping"

// Ping asks the server for next to nothing. Errors wrap ports.ErrUnavailable: the server doesn't
// answer, or it refuses the key or the time of the request, which is ports.ErrRefused as well.
func (r *Rooms) Ping(ctx context.Context) error { return r.ping(ctx, callTimeout) }

func (r *Rooms) ping(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := r.client.ListRooms(ctx, &lkproto.ListRoomsRequest{Names: []string{notOurs}})
	return noAnswer("asking LiveKit", err)
}

// ClockOffset returns how far the clock of the server, or of a proxy before it, is ahead of ours,
// within a second, and false where there is no answer with a time.
func (r *Rooms) ClockOffset(ctx context.Context) (time.Duration, bool) { return r.clock.offset(ctx) }

// Close gives back the connections that are kept open. The SDK has none of its own: it uses those
// of http.DefaultTransport.
func (r *Rooms) Close() {
	http.DefaultClient.CloseIdleConnections()
	r.clock.client.CloseIdleConnections()
}

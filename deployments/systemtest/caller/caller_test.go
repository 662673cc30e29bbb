//go:build integration

package caller_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/libs/testkit"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { testkit.Main(m) }

// join lets somebody into the room "talk", with a token made here.
func join(t *testing.T, server *testkit.LiveKitServer, identity string) *caller.Caller {
	t.Helper()
	token, err := auth.NewAccessToken(server.APIKey, server.APISecret).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: "talk"}).SetIdentity(identity).SetValidFor(time.Minute).ToJWT()
	require.NoError(t, err)
	c, err := caller.Join(testkit.Context(t, patience), server.WSURL, token)
	require.NoError(t, err)
	t.Cleanup(c.Leave)
	return c
}

func TestTwoTalk(t *testing.T) {
	server := testkit.LiveKit(t, "")
	a, b := join(t, server, "alice"), join(t, server, "bob")
	require.Equal(t, "alice", a.Identity())
	require.NotEqual(t, a.SID(), b.SID())
	for _, c := range []*caller.Caller{a, b} {
		sid, err := c.PublishAudio(testkit.Context(t, patience))
		require.NoError(t, err)
		require.NotEmpty(t, sid)
	}
	testkit.Eventually(t, patience, func(context.Context) error {
		if a.Heard() == 0 || b.Heard() == 0 {
			return errors.New("they don't hear each other")
		}
		return nil
	})

	b.Leave()
	b.Leave()
	require.Equal(t, "CLIENT_INITIATED", b.Reason())
	require.Empty(t, a.Reason())
	rooms := lksdk.NewRoomServiceClient(server.URL, server.APIKey, server.APISecret)
	_, err := rooms.DeleteRoom(testkit.Context(t, patience), &livekit.DeleteRoomRequest{Room: "talk"})
	require.NoError(t, err)
	select {
	case <-a.Gone():
		require.Equal(t, "ROOM_DELETED", a.Reason())
	case <-time.After(patience):
		t.Fatal("alice was not put out")
	}
	a.Leave()
}

func TestABadTokenIsRefused(t *testing.T) {
	server := testkit.LiveKit(t, "")
	_, err := caller.Join(testkit.Context(t, patience), server.WSURL, "no-token")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "no-token")
}

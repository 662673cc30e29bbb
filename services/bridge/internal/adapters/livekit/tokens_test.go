package livekit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

func tokens() *livekit.Tokens {
	return livekit.NewTokens(livekit.TokenConfig{
		APIKey: key, APISecret: secret, PublicURL: "wss://live.example", Now: time.Now,
		EmptyTimeout: 5 * time.Minute, DepartureTimeout: 20 * time.Second,
	})
}

func TestGrantsByRole(t *testing.T) {
	for role, speaks := range map[events.Role]bool{events.RoleHost: true, events.RoleParticipant: true, events.RoleViewer: false, "": false} {
		t.Run(string(role), func(t *testing.T) {
			token, url, expiresAt, err := tokens().Issue(ports.TokenGrant{
				RoomName: "call-x", Grant: domain.Grant{Identity: "alice#default", UserID: "alice", Role: role}, DisplayName: "Alice", TTL: time.Minute,
			})
			require.NoError(t, err)
			require.Equal(t, "wss://live.example", url)
			verifier, err := auth.ParseAPIToken(token.Reveal())
			require.NoError(t, err)
			registered, claims, err := verifier.Verify(secret)
			require.NoError(t, err)
			require.WithinDuration(t, registered.ExpiresAt.Time, expiresAt, time.Second)
			require.Equal(t, "alice#default", claims.Identity)
			require.Equal(t, "Alice", claims.Name)
			require.JSONEq(t, fmt.Sprintf(`{"userId":"alice","role":%q}`, role), claims.Metadata)
			no := false
			require.Equal(t, &auth.VideoGrant{
				RoomJoin: true, Room: "call-x", CanSubscribe: &[]bool{true}[0], CanPublish: &speaks, CanPublishData: &speaks,
				CanUpdateOwnMetadata: &no, CanSubscribeMetrics: &no, CanManageAgentSession: &no,
			}, claims.Video, "and nothing else: no administration ever")
			require.Nil(t, claims.SIP)
			require.Nil(t, claims.Agent)
			require.EqualValues(t, 300, claims.GetRoomConfiguration().GetEmptyTimeout())
			require.EqualValues(t, 20, claims.GetRoomConfiguration().GetDepartureTimeout())
			require.EqualValues(t, 500, claims.GetRoomConfiguration().GetMaxParticipants(), "five devices of each of a hundred members")
			for _, shown := range []string{fmt.Sprint(token), fmt.Sprintf("%+v %#v", token, token)} {
				require.NotContains(t, shown, token.Reveal())
			}
		})
	}
}

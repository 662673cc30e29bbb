//go:build integration

package livekit_test

import (
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// connection returns a connection as it is listed.
func (s server) connection(t *testing.T, room, identity string) domain.Listed {
	t.Helper()
	there, err := s.rooms.Connections(t.Context(), room)
	require.NoError(t, err)
	for _, c := range there {
		if c.Identity == identity {
			return c
		}
	}
	require.Fail(t, "not listed", "%s of %v", identity, there)
	return domain.Listed{}
}

// speak publishes an audio track with sound, without which the server has no track.
func speak(t *testing.T, room *lksdk.Room) {
	t.Helper()
	track, err := lksdk.NewLocalTrack(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2})
	require.NoError(t, err)
	track.OnBind(func() { assert.NoError(t, track.StartWrite(lksdk.NewNullSampleProvider(32000), nil)) })
	_, err = room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{Name: "mic", Source: lkproto.TrackSource_MICROPHONE})
	require.NoError(t, err)
}

func TestTheNodeAnswersForAParticipant(t *testing.T) {
	s := newServer(t)
	const room = "call-asked"
	ask := func(room, identity string) domain.Answer {
		answer, err := s.rooms.Ask(t.Context(), room, identity)
		require.NoError(t, err)
		return answer
	}
	require.Equal(t, domain.Answer{Kind: domain.NotFound}, ask("call-nowhere", "alice#default"))
	alice := s.join(t, s.issue(t, room, "alice", events.RoleHost), nil)
	s.join(t, s.issue(t, room, "bob", events.RoleViewer), nil)
	speak(t, alice)
	require.Eventually(t, func() bool { return len(s.connection(t, room, "alice#default").Tracks) == 1 }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, domain.Answer{Kind: domain.NotFound}, ask(room, "carol#default"))

	before := s.participant(t, room, "alice#default")
	answer := ask(room, "alice#default")
	require.Equal(t, domain.Found, answer.Kind)
	require.Equal(t, domain.Active, answer.Found.State)
	require.Equal(t, events.RoleHost, answer.Found.Role)
	require.Len(t, answer.Found.Tracks, 1)
	require.Equal(t, s.connection(t, room, "alice#default"), answer.Found, "it is what is listed")
	after := s.participant(t, room, "alice#default")
	require.Equal(t, before.GetMetadata(), after.GetMetadata())
	require.Equal(t, before.GetName(), after.GetName())
	require.Equal(t, before.GetPermission().String(), after.GetPermission().String(), "nothing was changed")
	require.Equal(t, events.RoleViewer, ask(room, "bob#default").Found.Role)

	alice.Disconnect()
	require.Eventually(t, func() bool {
		return ask(room, "alice#default").Kind == domain.NotFound
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, domain.Found, ask(room, "bob#default").Kind)
}

// LiveKit keeps who was in its rooms in Redis: when its process is killed they are listed for good,
// and only the call that a node must answer shows that they are gone.
func TestNoNodeAnswersForTheDead(t *testing.T) {
	s := clientOf(t, testkit.LiveKitWithRedis(t, ""))
	const room = "call-dead"
	alice := s.join(t, s.issue(t, room, "alice", events.RoleHost), nil)
	answer, err := s.rooms.Ask(t.Context(), room, "alice#default")
	require.NoError(t, err)
	require.Equal(t, domain.Found, answer.Kind)
	s.Kill(t)
	alice.Disconnect()
	s.Start(t)
	require.Equal(t, answer.Found.SID, s.connection(t, room, "alice#default").SID, "she is listed still")
	answer, err = s.rooms.Ask(t.Context(), room, "alice#default")
	require.NoError(t, err)
	require.Equal(t, domain.Answer{Kind: domain.NoResponse}, answer)
	answer, err = s.rooms.Ask(t.Context(), room, "bob#default")
	require.NoError(t, err)
	require.Equal(t, domain.Answer{Kind: domain.NotFound}, answer)
}

func TestMembersAreListedWithTheirRole(t *testing.T) {
	s := newServer(t)
	const room = "call-listed-roles"
	roles := []events.Role{events.RoleHost, events.RoleParticipant, events.RoleViewer}
	for _, role := range roles {
		s.join(t, s.issue(t, room, string(role), role), nil)
	}
	for _, role := range roles {
		require.Equal(t, role, s.connection(t, room, string(role)+"#default").Role)
		for _, next := range append(roles, role) {
			require.NoError(t, s.rooms.SetRole(t.Context(), room, domain.DesiredPermission{
				Identity: string(role) + "#default", UserID: string(role), Role: next,
			}))
			require.Eventually(t, func() bool { return s.connection(t, room, string(role)+"#default").Role == next },
				20*time.Second, 20*time.Millisecond, "%s as %s", role, next)
			answer, err := s.rooms.Ask(t.Context(), room, string(role)+"#default")
			require.NoError(t, err)
			require.Equal(t, next, answer.Found.Role)
		}
	}
	listed, err := s.rooms.List(t.Context(), []string{room})
	require.NoError(t, err)
	require.Len(t, listed[room].Listing.Participants, len(roles))
	_, err = s.admin.UpdateParticipant(t.Context(), &lkproto.UpdateParticipantRequest{
		Room: room, Identity: "host#default", Permission: &lkproto.ParticipantPermission{CanSubscribe: true},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.connection(t, room, "host#default").Role == domain.OtherRole },
		20*time.Second, 20*time.Millisecond, "another administrator took the host's rights")
}

func TestStrangersAreListedByKind(t *testing.T) {
	s := newServer(t)
	const room = "call-strangers"
	yes := true
	for name, tc := range map[string]struct {
		token *auth.AccessToken
		want  domain.Kind
	}{
		"guest":    {stranger(s, &auth.VideoGrant{}), domain.Standard},
		"agent":    {stranger(s, &auth.VideoGrant{}).SetKind(lkproto.ParticipantInfo_AGENT), domain.Agent},
		"caller":   {stranger(s, &auth.VideoGrant{}).SetKind(lkproto.ParticipantInfo_SIP), domain.Phone},
		"egress":   {stranger(s, &auth.VideoGrant{Hidden: true, Recorder: true}).SetKind(lkproto.ParticipantInfo_EGRESS), domain.Recorder},
		"ingress":  {stranger(s, &auth.VideoGrant{}).SetKind(lkproto.ParticipantInfo_INGRESS), domain.Recorder},
		"hidden":   {stranger(s, &auth.VideoGrant{Hidden: true, CanSubscribe: &yes}), domain.Recorder},
		"recorder": {stranger(s, &auth.VideoGrant{Recorder: true}), domain.Recorder},
	} {
		tc.token.GetGrants().Video.RoomJoin, tc.token.GetGrants().Video.Room = true, room
		token, err := tc.token.SetIdentity(name).ToJWT()
		require.NoError(t, err)
		s.join(t, token, nil)
		listed := s.connection(t, room, name)
		require.Equal(t, tc.want, listed.Kind, name)
		require.Equal(t, domain.OtherRole, listed.Role, "%s has no role of ours", name)
		answer, err := s.rooms.Ask(t.Context(), room, name)
		require.NoError(t, err)
		require.Equal(t, tc.want, answer.Found.Kind, name)
	}
	listed, err := s.rooms.List(t.Context(), []string{room})
	require.NoError(t, err)
	require.Equal(t, ports.RoomAnswer{Listing: listed[room].Listing}, listed[room])
	require.Len(t, listed[room].Listing.Participants, 7)
}

// stranger returns a token that the secret makes good, and that the bridge did not issue.
func stranger(s server, grant *auth.VideoGrant) *auth.AccessToken {
	return auth.NewAccessToken(s.APIKey, s.APISecret).SetValidFor(time.Minute).SetVideoGrant(grant)
}

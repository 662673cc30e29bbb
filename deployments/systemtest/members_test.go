//go:build integration

package systemtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const carol = "carol"

// joinsTold counts what LiveKit has told the bridge of somebody joining a room.
const joinsTold = "SELECT count(*) FROM webhook_receipts WHERE kind = 'participant_joined' AND room_name = $1"

// membersComeAndGo changes who may be in a call and as what while it goes on, and LiveKit follows.
func membersComeAndGo(t *testing.T, s *stack.Stack) {
	id := newSession(t, s).SessionID
	host := s.API.As(alice)
	setMember(t, host, id, carol, "viewer", true)
	_ = s.Join(t, id, alice)
	s.AwaitEvent(t, id, alice, "call.track.published alice")
	b, bobsToken := joinQuietly(t, s, id, bob)
	c, _ := joinQuietly(t, s, id, carol)
	s.AwaitEvent(t, id, alice, "call.participant.joined carol")
	awaitSpeaking(t, s, c, false)

	setMember(t, host, id, carol, "participant", false)
	awaitSpeaking(t, s, c, true)
	_, err := c.PublishAudio(testkit.Context(t, stack.Patience))
	require.NoError(t, err, "with the token of a viewer")
	s.AwaitEvent(t, id, alice, "call.track.published carol")
	setMember(t, host, id, carol, "viewer", false)
	awaitSpeaking(t, s, c, false)
	s.AwaitEvent(t, id, alice, "call.track.unpublished carol")

	require.NoError(t, host.RemoveMember(t.Context(), id, bob))
	requirePutOut(t, b)
	s.AwaitEvent(t, id, alice, "call.participant.left bob participant_removed")
	_, err = s.API.As(bob).Get(t.Context(), id)
	requireProblem(t, err, 404, "session_not_found")
	_, err = s.API.As(bob).Token(t.Context(), id, callplane.TokenRequest{})
	requireProblem(t, err, 404, "session_not_found")

	// The room may have put him out again before the client has even got into it.
	if again, err := caller.Join(testkit.Context(t, stack.Patience), bobsToken.URL, bobsToken.Token); err == nil {
		t.Cleanup(again.Leave)
		requirePutOut(t, again)
	}
	testkit.Eventually(t, stack.Patience, func(context.Context) error {
		if joins := count(t, s.BridgeDB.AdminURL, joinsTold, "call-"+id); joins < 4 {
			return fmt.Errorf("LiveKit has told of %d joins, not of alice, bob, carol and bob again", joins)
		}
		return nil
	})
	require.Equal(t, "left", presence(get(t, s, id))[bob], "a leftover token")

	setMember(t, host, id, bob, "participant", true)
	_, _ = joinQuietly(t, s, id, bob)
	testkit.Eventually(t, stack.Patience, func(context.Context) error {
		if shown := presence(get(t, s, id))[bob]; shown != "present" {
			return fmt.Errorf("bob, invited again, is %s", shown)
		}
		return nil
	})
	require.NoError(t, s.API.As(carol).RemoveMember(t.Context(), id, carol), "anybody may leave")
	requirePutOut(t, c)
	s.AwaitEvent(t, id, alice, "call.participant.left carol participant_removed")
	end(t, s, id)
	s.AwaitLog(t, id, alice,
		"call.created", "call.member.added carol", "call.connecting", "call.connected alice",
		"call.participant.joined alice", "call.track.published alice", "call.participant.joined bob", "call.participant.joined carol",
		"call.member.updated carol", "call.track.published carol", "call.member.updated carol", "call.track.unpublished carol",
		"call.member.removed bob", "call.participant.left bob participant_removed",
		"call.member.added bob", "call.participant.joined bob",
		"call.member.removed carol", "call.participant.left carol participant_removed",
		"call.updated", "call.ended completed",
		"call.track.unpublished alice", "call.participant.left alice room_deleted", "call.participant.left bob room_deleted", "call.disconnected completed")
}

func setMember(t *testing.T, api *callplane.Client, sessionID, user, role string, added bool) {
	t.Helper()
	got, err := api.SetMember(t.Context(), sessionID, callplane.Member{UserID: user, Role: role})
	require.NoError(t, err)
	require.Equal(t, added, got)
}

// joinQuietly lets the user into the call without publishing anything.
func joinQuietly(t *testing.T, s *stack.Stack, sessionID, user string) (*caller.Caller, callplane.Token) {
	t.Helper()
	token := s.Token(t, sessionID, user)
	c, err := caller.Join(testkit.Context(t, stack.Patience), token.URL, token.Token)
	require.NoError(t, err)
	t.Cleanup(c.Leave)
	return c, token
}

// awaitSpeaking waits until LiveKit lets the caller publish, or no longer does.
func awaitSpeaking(t *testing.T, s *stack.Stack, c *caller.Caller, may bool) {
	t.Helper()
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) error {
		info, err := s.Rooms.GetParticipant(ctx, &livekit.RoomParticipantIdentity{Room: c.Room(), Identity: c.Identity()})
		if err == nil && info.GetPermission().GetCanPublish() != may {
			err = fmt.Errorf("%s may publish: %t", c.Identity(), !may)
		}
		return err
	})
}

// requirePutOut waits until the server has put the caller out of the room.
func requirePutOut(t *testing.T, c *caller.Caller) {
	t.Helper()
	select {
	case <-c.Gone():
		require.Equal(t, "PARTICIPANT_REMOVED", c.Reason())
	case <-time.After(stack.Patience):
		t.Fatalf("%s is still in the call", c.Identity())
	}
}

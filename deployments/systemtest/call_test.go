//go:build integration

package systemtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// TestCalls has everything that goes on side by side on one running stack.
func TestCalls(t *testing.T) {
	s := stack.New(t)
	t.Cleanup(func() { verified(t, s) }) // when all of it is over
	for name, test := range map[string]func(*testing.T, *stack.Stack){
		"ended by everybody leaving": wholeCall,
		"ended by its owner":         endedByOwner,
		"never joined":               cancelled,
		"strangers see nothing":      strangers,
		"members come and go":        membersComeAndGo,
		"webhooks replayed":          replays,
		"webhooks refused":           refusals,
		"another partition count":    partitionMismatch,
		"streams that are cut":       streamsThatAreCut,
		"the TypeScript package":     thePackage,
		"the demo":                   demo,
		"the demo without a stack":   demoWithoutStack,
		"the lines of the README":    readmeLines,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// wholeCall has two people in a call who both hang up: LiveKit finishes the room, and that ends the session.
func wholeCall(t *testing.T, s *stack.Stack) {
	session := newSession(t, s)
	id := session.SessionID
	require.Equal(t, `"1"`, session.ETag)
	require.Equal(t, "/v1/call/sessions/"+id, session.Location)
	require.Nil(t, session.ProviderRoomID)

	a := s.Join(t, id, alice)
	s.AwaitEvent(t, id, alice, "call.track.published alice")
	b := s.Join(t, id, bob)
	s.AwaitEvent(t, id, alice, "call.track.published bob")
	awaitHearing(t, a, b)
	active := get(t, s, id)
	require.Equal(t, "active", active.Status)
	require.Equal(t, map[string]string{alice: "present", bob: "present"}, presence(active))
	require.Nil(t, active.EndedAt)

	b.Leave()
	s.AwaitEvent(t, id, alice, "call.participant.left bob client_initiated")
	require.Equal(t, map[string]string{alice: "present", bob: "left"}, presence(get(t, s, id)))
	a.Leave()
	log := s.AwaitLog(t, id, alice,
		"call.created", "call.connecting", "call.connected alice", "call.participant.joined alice", "call.track.published alice",
		"call.participant.joined bob", "call.track.published bob",
		"call.track.unpublished bob", "call.participant.left bob client_initiated",
		"call.track.unpublished alice", "call.participant.left alice client_initiated",
		"call.disconnected completed", "call.ended completed")
	requireLines(t, log[:4], "call.created", "call.connecting", "call.connected alice", "call.participant.joined alice")
	requireLines(t, log[11:], "call.disconnected completed", "call.ended completed")

	checkEnded(t, get(t, s, id), a, log)
	checkPublished(t, log, s.Observed.Await(t, id, len(log)))
}

// checkEnded holds the session's body against the call that was.
func checkEnded(t *testing.T, session callplane.Session, first *caller.Caller, log []callplane.Event) {
	t.Helper()
	require.Equal(t, "ended", session.Status)
	require.Nil(t, session.Error)
	require.NotNil(t, session.StartedAt)
	require.NotNil(t, session.EndedAt)
	require.False(t, session.EndedAt.Before(*session.StartedAt))
	require.Equal(t, int64(3), session.Version, "created, active, ended")
	require.Equal(t, `"3"`, session.ETag)
	require.Equal(t, log[len(log)-1].EventID, *session.LastEventID)
	require.Equal(t, map[string]string{alice: "left", bob: "left"}, presence(session))

	connected, err := events.DecodePayload[events.CallConnectedPayload](log[2].Envelope)
	require.NoError(t, err)
	require.Equal(t, "call-"+session.SessionID, *session.ProviderRoomID)
	require.Equal(t, first.Identity(), *session.ProviderParticipantID)
	require.Equal(t, connected.RoomSID, *session.ProviderCallID)
	require.Equal(t, connected.Identity, *session.ProviderParticipantID)
}

// checkPublished holds what went over the broker against the log: the same events, byte for byte the same content, in the same order.
func checkPublished(t *testing.T, log []callplane.Event, published []events.Accepted) {
	t.Helper()
	require.Len(t, published, len(log))
	for i, e := range log {
		require.Equal(t, e.EventID, published[i].EventID, "event %d, %s, was published at another place", i, e.Type)
		require.JSONEq(t, string(published[i].Raw), string(e.Raw))
	}
}

// endedByOwner ends the call at the API while both are in it.
func endedByOwner(t *testing.T, s *stack.Stack) {
	id := newSession(t, s).SessionID
	a, b := s.Join(t, id, alice), s.Join(t, id, bob)
	s.AwaitEvent(t, id, alice, "call.track.published alice")
	s.AwaitEvent(t, id, alice, "call.track.published bob")

	ended := end(t, s, id)
	require.Equal(t, "ended", ended.Status)
	require.NotNil(t, ended.EndedAt)
	for name, c := range map[string]*caller.Caller{alice: a, bob: b} {
		select {
		case <-c.Gone():
			require.Equal(t, "ROOM_DELETED", c.Reason())
		case <-time.After(stack.Patience):
			t.Fatalf("%s is still connected", name)
		}
	}
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) error {
		exists, err := s.RoomExists(ctx, "call-"+id)
		if err == nil && exists {
			err = errors.New("LiveKit still has the room")
		}
		return err
	})
	s.AwaitLog(t, id, alice,
		"call.created", "call.connecting", "call.connected alice",
		"call.participant.joined alice", "call.track.published alice", "call.participant.joined bob", "call.track.published bob",
		"call.updated", "call.ended completed",
		"call.track.unpublished alice", "call.participant.left alice room_deleted",
		"call.track.unpublished bob", "call.participant.left bob room_deleted", "call.disconnected completed")
	require.Equal(t, map[string]string{alice: "left", bob: "left"}, presence(get(t, s, id)))

	_, err := s.API.As(bob).Token(t.Context(), id, callplane.TokenRequest{})
	requireProblem(t, err, 409, "session_final")
	again, err := s.API.As(alice).Update(t.Context(), id, `"1"`, map[string]any{"status": "ended"})
	require.NoError(t, err, "a repeat is no change, whatever it was made for")
	require.Equal(t, ended.Version, again.Version)
	_, err = s.API.As(alice).Update(t.Context(), id, "", map[string]any{"status": "active"})
	requireProblem(t, err, 409, "session_final")
}

// cancelled ends a session that nobody joined.
func cancelled(t *testing.T, s *stack.Stack) {
	id := newSession(t, s).SessionID
	_, err := s.API.As(alice).Update(t.Context(), id, `"7"`, map[string]any{"status": "ended"})
	requireProblem(t, err, 412, "precondition_failed")
	_, err = s.API.As(bob).Update(t.Context(), id, "", map[string]any{"status": "ended"})
	requireProblem(t, err, 403, "forbidden")
	session := end(t, s, id)
	require.Equal(t, "ended", session.Status)
	require.Equal(t, "cancelled", *session.EndReason)
	require.Nil(t, session.StartedAt)
	log := s.AwaitLog(t, id, bob, "call.created", "call.updated", "call.ended cancelled")
	requireLines(t, log, "call.created", "call.updated", "call.ended cancelled")

	page, err := s.API.As(bob).Events(t.Context(), id, log[0].EventID, 1)
	require.NoError(t, err)
	requireLines(t, page.Items, "call.updated")
	require.True(t, page.HasMore)
}

// strangers get the same answer for a session that they are not in and for one that never was.
func strangers(t *testing.T, s *stack.Stack) {
	id := newSession(t, s).SessionID
	mallory := s.API.As("mallory")
	for _, asked := range []string{id, "0199b2c4-0000-7000-8000-000000000000", "no-uuid"} {
		_, err := mallory.Get(t.Context(), asked)
		requireProblem(t, err, 404, "session_not_found")
		_, err = mallory.Token(t.Context(), asked, callplane.TokenRequest{})
		requireProblem(t, err, 404, "session_not_found")
		_, err = mallory.Events(t.Context(), asked, "", 0)
		requireProblem(t, err, 404, "session_not_found")
		_, err = mallory.Update(t.Context(), asked, "", map[string]any{"status": "ended"})
		requireProblem(t, err, 404, "session_not_found")
	}
	_, err := s.API.Get(t.Context(), id)
	requireProblem(t, err, 401, "unauthenticated")
}

// awaitHearing waits until audio of each has reached the other.
func awaitHearing(t *testing.T, a, b *caller.Caller) {
	t.Helper()
	testkit.Eventually(t, stack.Patience, func(context.Context) error {
		if a.Heard() < 5 || b.Heard() < 5 {
			return errors.New("they don't hear each other")
		}
		return nil
	})
}

// presence is how the session lists each user.
func presence(session callplane.Session) map[string]string {
	listed := map[string]string{}
	for _, p := range session.Participants {
		listed[p.UserID] = p.Status
	}
	return listed
}

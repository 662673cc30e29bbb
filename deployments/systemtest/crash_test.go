//go:build integration

package systemtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// TestCrash kills a service in the middle of a call, lets somebody leave meanwhile, and starts it again: the call goes on and ends as it
// should, and everything that happened is in the log once.
func TestCrash(t *testing.T) {
	for _, service := range stack.Services {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			// By webhooks alone, which come again: listings would tell the same after the start, and at times sooner, without the reasons.
			s := stack.New(t, stack.WithBridge(map[string]string{"RECONCILE_INTERVAL": "0"}))
			victim := s.Sessions
			if service == "bridge" {
				victim = s.Bridge
			}
			id := newSession(t, s).SessionID
			a, b := s.Join(t, id, alice), s.Join(t, id, bob)
			s.AwaitEvent(t, id, alice, "call.track.published alice")
			s.AwaitEvent(t, id, alice, "call.track.published bob")
			awaitHearing(t, a, b)

			victim.Kill(t)
			b.Leave()
			if service == "bridge" {
				requireNoToken(t, s, id)
			}
			victim.Start(t)
			s.AwaitReady(t)
			s.AwaitEvent(t, id, alice, "call.participant.left bob client_initiated")
			require.Equal(t, "active", get(t, s, id).Status)
			require.Equal(t, map[string]string{alice: "present", bob: "left"}, presence(get(t, s, id)))

			end(t, s, id)
			victim.Kill(t)
			victim.Start(t)
			s.AwaitReady(t)
			log := s.AwaitLog(t, id, alice,
				"call.created", "call.connecting", "call.connected alice",
				"call.participant.joined alice", "call.track.published alice", "call.participant.joined bob", "call.track.published bob",
				"call.track.unpublished bob", "call.participant.left bob client_initiated",
				"call.updated", "call.ended completed",
				"call.track.unpublished alice", "call.participant.left alice room_deleted", "call.disconnected completed")
			<-a.Gone()
			require.Equal(t, "ended", get(t, s, id).Status)

			// Published at least once each, also over a crash between the publishing and the note of it; never with another content.
			content := map[string]string{}
			for _, e := range s.Observed.Await(t, id, len(log)) {
				if before, twice := content[e.EventID]; twice {
					require.Equal(t, before, string(e.Raw))
				}
				content[e.EventID] = string(e.Raw)
			}
			require.Len(t, content, len(log))
			verified(t, s)
		})
	}
}

// TestGracefulShutdown asks both services to end in the middle of a call: they do in order and say nothing of an error, and the call
// goes on with the next run.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	s := stack.New(t)
	id := newSession(t, s).SessionID
	a := s.Join(t, id, alice)
	s.AwaitEvent(t, id, alice, "call.track.published alice")
	for _, p := range []*stack.Process{s.Sessions, s.Bridge} {
		require.Zero(t, p.Stop(t), "exit code after SIGTERM")
	}
	s.Start(t)
	s.AwaitReady(t)
	end(t, s, id)
	<-a.Gone()
	s.AwaitEvent(t, id, alice, "call.disconnected completed")
	for _, p := range []*stack.Process{s.Sessions, s.Bridge} {
		require.Zero(t, p.Stop(t), "exit code after SIGTERM")
		for what, version := range serverVersions(t, s) {
			require.Contains(t, p.Log(), `"`+version, "the log doesn't say which %s it runs on", what)
		}
		for line := range strings.Lines(p.Log()) {
			require.True(t, strings.HasPrefix(line, "{"), "a line of the log is not JSON: %s", line)
			require.NotContains(t, line, `"level":"ERROR"`)
		}
	}
}

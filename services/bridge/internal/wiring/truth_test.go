//go:build integration

package wiring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
)

// A client in a process of its own is this program, told by its environment to be one.
const (
	callerURL   = "CALLPLANE_TEST_CALLER_URL"
	callerToken = "CALLPLANE_TEST_CALLER_TOKEN"
)

// beCaller joins a room and stays until the process is killed.
func beCaller() int {
	room := lksdk.NewRoom(nil)
	err := room.JoinWithContextAndToken(context.Background(), os.Getenv(callerURL), os.Getenv(callerToken), lksdk.WithConnectTimeout(20*time.Second))
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "joining:", err)
		return 1
	}
	select {}
}

// caller joins in a process of its own, and returns what kills that.
func (s *service) caller(token commands.TokenIssued) (kill func()) {
	s.t.Helper()
	process := exec.CommandContext(s.t.Context(), os.Args[0])
	process.Env = append(os.Environ(), callerURL+"="+token.URL, callerToken+"="+token.Token.Reveal())
	process.Stderr = s.log
	require.NoError(s.t, process.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = process.Wait() // It is killed, which is an error.
	}()
	kill = func() {
		_ = process.Process.Kill()
		<-ended
	}
	s.t.Cleanup(kill)
	return kill
}

// quick has everything that waits wait for a short time only.
var quick = []string{"RECONNECT_WINDOW=4s", "RECONCILE_INTERVAL=1s"}

func (s *service) admit(session, user string) commands.TokenIssued {
	s.t.Helper()
	token, err := s.sessions.token(session, user, events.RoleHost)
	require.NoError(s.t, err)
	return token
}

// happens waits until the bridge has told something, after what was told before.
func (s *service) happens(session string, after int, want ...events.Type) int {
	s.t.Helper()
	testkit.Eventually(s.t, 2*time.Minute, func(context.Context) error {
		got := s.sessions.types(session)
		if len(got) < after+len(want) || !slices.Equal(got[after:after+len(want)], want) {
			return fmt.Errorf("the bridge said %v, not %v after the first %d", got, want, after)
		}
		return nil
	})
	return after + len(want)
}

// TestAClientIsKilled has alice's process killed: she is waited for when LiveKit tells, and gone when her time is over.
func TestAClientIsKilled(t *testing.T) {
	s := start(t, quick...)
	s.waitReady(`"ok"`)
	session := newSession(t)
	bob := s.join(s.admit(session, "bob"))
	n := s.happens(session, 0, events.CallConnecting, events.CallConnected, events.CallParticipantJoined)
	kill := s.caller(s.admit(session, "alice"))
	n = s.happens(session, n, events.CallParticipantJoined)
	kill()
	n = s.happens(session, n, events.CallParticipantReconnecting, events.CallParticipantLeft)
	bob.Disconnect()
	s.happens(session, n, events.CallParticipantLeft, events.CallDisconnected)
}

// TestTheServerIsKilled has LiveKit killed and started again: nobody tells who was there, and those who come back have never left.
func TestTheServerIsKilled(t *testing.T) {
	s := start(t, "RECONNECT_WINDOW=60s", "RECONCILE_INTERVAL=1s")
	if s.livekit.Container == nil {
		t.Skip("the LiveKit server is not ours to kill (TEST_LIVEKIT_URL)")
	}
	s.waitReady(`"ok"`)
	session := newSession(t)
	alice := s.join(s.admit(session, "alice"))
	n := s.happens(session, 0, events.CallConnecting, events.CallConnected, events.CallParticipantJoined)
	s.livekit.Kill(t)
	testkit.Eventually(t, time.Minute, func(context.Context) error {
		if _, body := s.get("/readyz"); body == "" {
			return errors.New("no answer")
		}
		return nil
	})
	require.Equal(t, n, len(s.sessions.types(session)), "nothing is known while LiveKit is away")
	s.livekit.Start(t)
	n = s.happens(session, n, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantReconnected, events.CallReconnected)
	alice.Disconnect()
	s.happens(session, n, events.CallParticipantLeft, events.CallDisconnected)
}

// TestNoWebhookEverComes has the whole call told by listings.
func TestNoWebhookEverComes(t *testing.T) {
	s := startDeaf(t, quick...)
	s.waitReady(`"ok"`)
	session := newSession(t)
	alice := s.join(s.admit(session, "alice"))
	n := s.happens(session, 0, events.CallConnecting, events.CallConnected, events.CallParticipantJoined)
	bob := s.join(s.admit(session, "bob"))
	n = s.happens(session, n, events.CallParticipantJoined)
	alice.Disconnect()
	n = s.happens(session, n, events.CallParticipantReconnecting, events.CallParticipantLeft)
	bob.Disconnect()
	s.happens(session, n, events.CallParticipantReconnecting, events.CallReconnecting, events.CallParticipantLeft, events.CallDisconnected)
	require.Zero(t, s.count(`SELECT count(*) FROM webhook_receipts`))
}

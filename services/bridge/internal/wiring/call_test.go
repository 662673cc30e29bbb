//go:build integration

package wiring

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/captures"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

func (s *service) join(token commands.TokenIssued) *lksdk.Room {
	s.t.Helper()
	room := lksdk.NewRoom(nil)
	require.NoError(s.t, room.JoinWithContextAndToken(s.t.Context(), token.URL, token.Token.Reveal(), lksdk.WithConnectTimeout(20*time.Second)))
	s.t.Cleanup(room.Disconnect)
	return room
}

func TestARealCallOnTheWholeService(t *testing.T) {
	s := start(t)
	s.waitReady(`"ok"`)
	session := newSession(t)
	s.sessions.tell(session, events.CallCreatedPayload{
		OwnerID: "alice", Kind: events.KindVideo, Provider: events.ProviderLiveKit, Metadata: []byte(`{}`), SessionVersion: 1,
		Members: []events.Member{{UserID: "alice", Role: events.RoleHost}, {UserID: "bob", Role: events.RoleViewer}},
	})
	var rooms []*lksdk.Room
	for _, user := range []string{"alice", "bob"} {
		token, err := s.sessions.token(session, user, events.RoleHost)
		require.NoError(t, err)
		if user == "alice" {
			require.Equal(t, commands.CallPresenceShown{}, s.sessions.presence(session, 1), "nobody has used a token yet")
		}
		require.Equal(t, domain.RoomName(session), token.RoomName)
		require.Equal(t, user+"#default", token.Identity)
		require.EqualValues(t, 1, s.count(`SELECT count(*) FROM participants WHERE session_id = ? AND identity = ?`, session, token.Identity))
		require.NotContains(t, s.log.String(), token.Token.Reveal())
		rooms = append(rooms, s.join(token))
	}
	s.sessions.waitFor(session, events.CallConnecting, events.CallConnected, events.CallParticipantJoined, events.CallParticipantJoined)
	require.Equal(t, commands.CallPresenceShown{Connected: true, Activated: true}, s.sessions.presence(session, 1))
	rooms[1].Disconnect()
	// The session is ended: the room goes, whoever is still in it leaves, and that is the end of the call.
	s.sessions.waitFor(session, events.CallConnecting, events.CallConnected, events.CallParticipantJoined, events.CallParticipantJoined,
		events.CallParticipantLeft)
	s.sessions.tell(session, events.CallEndedPayload{Reason: "completed", SessionVersion: 3, EndedAt: events.At(time.Now())})
	s.sessions.waitFor(session, events.CallConnecting, events.CallConnected, events.CallParticipantJoined, events.CallParticipantJoined,
		events.CallParticipantLeft, events.CallParticipantLeft, events.CallDisconnected)
	require.Equal(t, commands.CallPresenceShown{Activated: true}, s.sessions.presence(session, 3))
	testkit.Eventually(t, time.Minute, func(context.Context) error {
		if left := s.count(`SELECT count(*) FROM room_deletions`); left != 0 {
			return fmt.Errorf("%d rooms are still to be deleted", left)
		}
		return nil
	})
	_, err := s.sessions.token(session, "alice", events.RoleHost)
	var failure *commands.Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, commands.SessionFinal, failure.Code)
	for _, version := range []string{`"rabbitmq_version":"4.`, `"postgres_version":"17`, `"go_version":"go1`} {
		require.Contains(t, s.log.String(), version)
	}
}

func TestALeftoverTokenNeverBringsACallBack(t *testing.T) {
	s := start(t)
	s.waitReady(`"ok"`)
	session := newSession(t)
	token, err := s.sessions.token(session, "alice", events.RoleHost)
	require.NoError(t, err)
	s.sessions.tell(session, events.CallEndedPayload{Reason: "cancelled", SessionVersion: 2, EndedAt: events.At(time.Now())})
	testkit.Eventually(t, time.Minute, func(context.Context) error {
		if s.count(`SELECT count(*) FROM mappings WHERE session_id = ? AND final`, session) == 0 || s.count(`SELECT count(*) FROM room_deletions`) > 0 {
			return errors.New("the end is not followed yet")
		}
		return nil
	})
	room := lksdk.NewRoom(nil)
	defer room.Disconnect()
	// The room may be gone before the client has even got into it.
	if room.JoinWithContextAndToken(t.Context(), token.URL, token.Token.Reveal(), lksdk.WithConnectTimeout(20*time.Second)) == nil {
		require.Eventually(t, func() bool { return room.ConnectionState() == lksdk.ConnectionStateDisconnected }, time.Minute, 50*time.Millisecond)
	}
	testkit.Eventually(t, time.Minute, func(context.Context) error {
		if s.count(`SELECT count(*) FROM webhook_receipts WHERE kind IN ('room_started', 'room_finished')`) < 2 {
			return errors.New("LiveKit has not told that the room came and went")
		}
		return nil
	})
	require.Empty(t, s.sessions.types(session))
}

func TestAWebhookOfAForeignRoomIsOnlyNoted(t *testing.T) {
	s := start(t, "RECONCILE_INTERVAL=0")
	s.waitReady(`"ok"`)
	session := newSession(t)
	_, err := s.sessions.token(session, "alice", events.RoleParticipant)
	require.NoError(t, err)
	before := s.state()
	for _, body := range captures.Bodies(t, "clean", "somebody-elses", "#default") {
		s.deliver(body)
	}
	require.Equal(t, before, s.state())
	require.EqualValues(t, 8, s.count(`SELECT count(*) FROM webhook_receipts WHERE room_name = 'somebody-elses'`))
	require.Zero(t, s.count(`SELECT count(*) FROM outbox`))
	require.Contains(t, s.metrics(), `bridge_webhooks_total{kind="participant_joined",outcome="unknown_room"} 2`)
}

// dump is everything that the database holds, as text.
func (s *service) dump() string {
	s.t.Helper()
	var tables []string
	require.NoError(s.t, s.db.Raw(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables).Error)
	require.NotEmpty(s.t, tables)
	var all strings.Builder
	for _, table := range tables {
		var rows []string
		require.NoError(s.t, s.db.Raw(`SELECT x::text FROM `+table+` x`).Scan(&rows).Error)
		all.WriteString(strings.Join(rows, "\n"))
	}
	var bodies []string
	require.NoError(s.t, s.db.Raw(`SELECT convert_from(body, 'UTF8') FROM outbox`).Scan(&bodies).Error)
	all.WriteString(strings.Join(bodies, "\n"))
	return all.String()
}

func TestWhatIsNotGenuineIsRefusedAndChangesNothing(t *testing.T) {
	s := start(t)
	s.waitReady(`"ok"`)
	session := newSession(t)
	_, err := s.sessions.token(session, "alice", events.RoleParticipant)
	require.NoError(t, err)
	body := captures.Bodies(t, "clean", domain.RoomName(session), "#default")[0]
	before := s.dump()
	for want, send := range map[int]func() (int, string){
		http.StatusUnauthorized:          func() (int, string) { return s.post(body, s.livekit.APISecret+"!") },
		http.StatusRequestEntityTooLarge: func() (int, string) { return s.post(make([]byte, 10<<20), s.livekit.APISecret) },
		http.StatusBadRequest:            func() (int, string) { return s.post([]byte(`{"event":`), s.livekit.APISecret) },
		http.StatusNotFound:              func() (int, string) { return s.get("/livekit") },
		http.StatusMethodNotAllowed:      func() (int, string) { return s.get("/livekit/webhook") },
	} {
		status, answer := send()
		require.Equal(t, want, status, answer)
		require.Contains(t, answer, `"type":"https://callplane.dev/problems/`)
	}
	withoutLeases := func(dump string) bool { return strings.Contains(dump, "EV_") }
	require.False(t, withoutLeases(before))
	require.False(t, withoutLeases(s.dump()))
	require.Zero(t, s.count(`SELECT count(*) FROM outbox`))
	require.Zero(t, s.count(`SELECT count(*) FROM webhook_receipts`))
}

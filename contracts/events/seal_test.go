package events_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

func TestSealAccept(t *testing.T) {
	s, err := events.Seal("0198a3c0-1111-7000-8000-000000000001", "0198a3c0-1111-7000-8000-000000000002", events.Draft{
		Timestamp: time.Now(), Actor: events.Actor{Type: events.ActorUser, ID: "alice"},
		Payload: events.CallMemberAddedPayload{UserID: "bob", Role: events.RoleViewer, SessionVersion: 2},
	})
	require.NoError(t, err)
	a, err := events.Accept(events.Delivery{Body: s.JSON(), RoutingKey: "call.member.added", MessageID: s.Envelope().EventID, UserID: "sessions", SessionHeader: s.Envelope().SessionID})
	require.NoError(t, err)
	require.Equal(t, s.Digest(), a.Digest)
	require.Equal(t, s.Envelope(), a.Envelope)
	t.Log(string(a.Raw))
}

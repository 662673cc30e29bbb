package main

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
)

const orchestrator = "orchestrator"

// transcript is somebody's words.
func transcript(t *testing.T, session, text string, sequence int64) events.Sealed {
	t.Helper()
	alice, at := "alice", time.Now()
	sealed, err := events.Seal(uuid.Must(uuid.NewV7()).String(), session, events.Draft{
		Timestamp: at, Actor: events.Actor{Type: events.ActorService, ID: orchestrator},
		Payload: events.TranscriptFinalPayload{Transcript: events.Transcript{
			SegmentID: "s", Sequence: sequence, Revision: 1, Speaker: &events.Speaker{UserID: &alice}, Text: text,
			StartedAt: events.At(at), EndedAt: events.At(at),
		}},
	})
	require.NoError(t, err)
	return sealed
}

// accept reads an event as its consumer gets it.
func accept(t *testing.T, sealed events.Sealed) events.Accepted {
	t.Helper()
	e := sealed.Envelope()
	accepted, err := events.Accept(events.Delivery{
		Body: sealed.JSON(), RoutingKey: string(e.Type), MessageID: e.EventID, UserID: orchestrator, SessionHeader: e.SessionID,
	})
	require.NoError(t, err)
	return accepted
}

func TestTheSameWordsHaveTheSameAnswer(t *testing.T) {
	session := uuid.Must(uuid.NewV7()).String()
	cause := accept(t, transcript(t, session, "Please Remind me of the rent", 1))
	first, err := answer(cause, orchestrator)
	require.NoError(t, err)
	again, err := answer(cause, orchestrator)
	require.NoError(t, err)
	require.Len(t, first, 2)
	for i, kind := range []events.Type{events.ActionProposed, events.ActionExecuted} {
		assert.Equal(t, kind, first[i].Envelope().Type)
		assert.Equal(t, session, first[i].Envelope().SessionID)
		assert.Equal(t, string(first[i].JSON()), string(again[i].JSON()))
		accept(t, first[i])
	}
	other, err := answer(accept(t, transcript(t, session, "remind me again", 2)), orchestrator)
	require.NoError(t, err)
	assert.NotEqual(t, first[0].Envelope().EventID, other[0].Envelope().EventID)

	none, err := answer(accept(t, transcript(t, session, "nothing to do", 3)), orchestrator)
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestItsTypesAreItsUsersToSend(t *testing.T) {
	for _, kind := range []events.Type{events.ActionProposed, events.ActionExecuted} {
		assert.True(t, events.MaySend(orchestrator, kind))
	}
	for _, kind := range followed {
		assert.True(t, kind.Known())
	}
	assert.NotEqual(t, topology.UserSessions, orchestrator)
}

package portstest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

func aCall(t *testing.T, s StoreUnderTest) (id string, log []events.Envelope) {
	t.Helper()
	id = created(t, s).Session.ID()
	for _, payload := range []events.Payload{Connected(id, "alice"), Joined(id, "alice"), Joined(id, "bob"), Left(id, "bob")} {
		mustTake(t, s, domain.Append, Fact(t, id, NewID(t), payload))
	}
	_, err := s.Store.Update(t.Context(), viewerOf("alice"), id, finish(t, Start.Add(time.Hour)))
	require.NoError(t, err)
	log = logOf(t, s, id, 50)
	require.Len(t, log, 7)
	return id, log
}

func testPages(t *testing.T, s StoreUnderTest) {
	id, log := aCall(t, s)
	require.Equal(t, log, logOf(t, s, id, 1), "one by one as all at once")
	require.Equal(t, log, logOf(t, s, id, 3))
	last := log[len(log)-1].EventID

	page, err := s.Store.Events(t.Context(), viewerOf("bob"), id, ports.PageRequest{After: last, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, ports.Page{Items: []json.RawMessage{}, LastEventID: last}, page)

	joins := ports.PageRequest{Limit: 1, Types: []events.Type{events.CallParticipantJoined}}
	page, err = s.Store.Events(t.Context(), viewerOf("bob"), id, joins)
	require.NoError(t, err)
	require.True(t, page.HasMore)
	require.Equal(t, log[2].EventID, page.LastEventID)
	joins.After = page.LastEventID
	page, err = s.Store.Events(t.Context(), viewerOf("bob"), id, joins)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.False(t, page.HasMore)
	require.Equal(t, last, page.LastEventID, "the watermark passes over what was not asked for")

	page, err = s.Store.Events(t.Context(), viewerOf("bob"), id, ports.PageRequest{Limit: 7})
	require.NoError(t, err)
	require.False(t, page.HasMore, "exactly the limit is all")
}

func testWatermarkGone(t *testing.T, s StoreUnderTest) {
	id, log := aCall(t, s)
	_, other := aCall(t, s)
	for _, after := range []string{NewID(t), other[0].EventID} {
		_, err := s.Store.Events(t.Context(), viewerOf("alice"), id, ports.PageRequest{After: after, Limit: 10})
		var gone *ports.WatermarkGoneError
		require.ErrorAs(t, err, &gone)
		require.Equal(t, log[0].EventID, gone.Earliest)
	}
}

func testLogReplays(t *testing.T, s StoreUnderTest) {
	session, first := NewSession(t)
	_, err := s.Store.Create(t.Context(), session, first)
	require.NoError(t, err)
	id := session.ID()
	at := map[string]time.Time{}
	for _, payload := range []events.Payload{Connected(id, "alice"), Joined(id, "alice"), Published(id, "alice", "TR_1"), Left(id, "alice")} {
		mustTake(t, s, domain.Append, Fact(t, id, NewID(t), payload))
	}
	_, err = s.Store.Update(t.Context(), viewerOf("alice"), id, finish(t, Start.Add(time.Hour)))
	require.NoError(t, err)
	log := logOf(t, s, id, 50)
	for i, e := range log {
		switch {
		case i == 0:
			at[e.EventID] = Start
		case i < 5:
			at[e.EventID] = Start.Add(time.Minute)
		default:
			at[e.EventID] = Start.Add(time.Hour)
		}
	}
	logged := make([]domain.Logged, len(log))
	for i, e := range log {
		logged[i] = domain.Logged{Envelope: e, AppendedAt: at[e.EventID]}
	}
	replayed, err := domain.Replay(logged)
	require.NoError(t, err)
	view, err := s.Store.Get(t.Context(), ports.System(), id)
	require.NoError(t, err)
	equalSessions(t, replayed, view.Session)
}

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

func testWhatServicesSay(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	_, err := s.Store.Update(t.Context(), viewerOf("alice"), id, finish(t, Start.Add(time.Hour)))
	require.NoError(t, err)
	before, err := s.Store.Get(t.Context(), viewerOf("alice"), id)
	require.NoError(t, err)
	spoken := Said(t, id, NewID(t), Spoken("\u2028 <yes> \u00e9"))
	mustTake(t, s, domain.Append, spoken)
	mustTake(t, s, domain.Duplicate, spoken)
	after, err := s.Store.Get(t.Context(), viewerOf("alice"), id)
	require.NoError(t, err)
	equalSessions(t, before.Session, after.Session)
	require.Equal(t, spoken.EventID, after.LastEventID)
	kept, err := s.Store.Event(t.Context(), id, spoken.EventID)
	require.NoError(t, err)
	require.Equal(t, string(spoken.Raw), string(kept), "byte by byte")
	require.Len(t, s.Outbox(), 3, "who says it on the broker has published it")
	for _, missing := range [][2]string{{id, NewID(t)}, {NewID(t), spoken.EventID}} {
		_, err = s.Store.Event(t.Context(), missing[0], missing[1])
		require.ErrorIs(t, err, domain.ErrEventNotFound)
	}
}

func testEntriesThatBeginHere(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	said := Said(t, id, NewID(t), Spoken("yes"))
	err := s.Store.Take(t.Context(), said, func(session *domain.Session, _ *domain.Digest) (ports.Intake, error) {
		session.Observe(said, nil, Start)
		return ports.Intake{Entries: []ports.Entry{{Event: said.Envelope, JSON: said.Raw, Digest: said.Digest, AppendedAt: Start, Publish: true}}}, nil
	})
	require.NoError(t, err)
	require.Len(t, s.Outbox(), 2)
	require.JSONEq(t, string(said.Raw), string(s.Outbox()[1]))
}

func testBillingIsNotShownToMembers(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	spoken, billed, again := Said(t, id, NewID(t), Spoken("yes")), Said(t, id, NewID(t), Billed()), Said(t, id, NewID(t), Billed())
	for _, said := range []events.Accepted{billed, spoken, again} {
		mustTake(t, s, domain.Append, said)
	}
	first := logOf(t, s, id, 10)[0].EventID
	page := func(viewer ports.Viewer, request ports.PageRequest) ports.Page {
		t.Helper()
		page, err := s.Store.Events(t.Context(), viewer, id, request)
		require.NoError(t, err)
		return page
	}
	require.Len(t, page(ports.System(), ports.PageRequest{Limit: 10}).Items, 4)
	require.Len(t, page(ports.Viewer{UserID: "bob", All: true}, ports.PageRequest{Limit: 10}).Items, 4, "a member who sees all")
	shown := page(viewerOf("bob"), ports.PageRequest{Limit: 10})
	require.Len(t, shown.Items, 2)
	require.Equal(t, again.EventID, shown.LastEventID, "the watermark passes over what is not shown")
	require.False(t, shown.HasMore)
	require.Equal(t, []json.RawMessage{spoken.Raw}, page(viewerOf("bob"), ports.PageRequest{After: billed.EventID, Limit: 1}).Items)
	one := page(viewerOf("bob"), ports.PageRequest{Limit: 1})
	require.True(t, one.HasMore)
	require.Equal(t, first, one.LastEventID)
	one = page(viewerOf("bob"), ports.PageRequest{After: first, Limit: 1})
	require.False(t, one.HasMore, "what is not shown is not more")
	require.Equal(t, []json.RawMessage{spoken.Raw}, one.Items)
	require.Empty(t, page(viewerOf("bob"), ports.PageRequest{Limit: 10, Types: []events.Type{events.BillingUsageRecorded}}).Items)
}

package portstest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

func testCreateAndGet(t *testing.T, s StoreUnderTest) {
	session, log := NewSession(t)
	stored, err := s.Store.Create(t.Context(), session, log)
	require.NoError(t, err)
	for _, viewer := range []ports.Viewer{viewerOf("alice"), viewerOf("bob"), ports.System()} {
		view, err := s.Store.Get(t.Context(), viewer, session.ID())
		require.NoError(t, err)
		equalSessions(t, session, view.Session)
		require.Equal(t, log[0].Event.EventID, view.LastEventID)
		require.Equal(t, stored.LastEventID, view.LastEventID)
	}
	require.Len(t, s.Outbox(), 1)
	require.JSONEq(t, string(log[0].JSON), string(s.Outbox()[0]))
}

func testStrangers(t *testing.T, s StoreUnderTest) {
	view := created(t, s)
	for _, id := range []string{view.Session.ID(), NewID(t)} {
		viewer := viewerOf("mallory")
		_, err := s.Store.Get(t.Context(), viewer, id)
		require.ErrorIs(t, err, domain.ErrNotFound)
		_, err = s.Store.Events(t.Context(), viewer, id, ports.PageRequest{Limit: 10})
		require.ErrorIs(t, err, domain.ErrNotFound)
		_, err = s.Store.Update(t.Context(), viewer, id, func(*domain.Session) ([]ports.Entry, error) {
			t.Error("a stranger's change was called")
			return nil, nil
		})
		require.ErrorIs(t, err, domain.ErrNotFound)
	}
}

func testUpdate(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	renamed, err := s.Store.Update(t.Context(), viewerOf("alice"), id, retitle(t, "new", Start.Add(time.Second)))
	require.NoError(t, err)
	require.EqualValues(t, 2, renamed.Session.Version())
	ended, err := s.Store.Update(t.Context(), viewerOf("alice"), id, finish(t, Start.Add(2*time.Second)))
	require.NoError(t, err)
	view, err := s.Store.Get(t.Context(), viewerOf("bob"), id)
	require.NoError(t, err)
	equalSessions(t, ended.Session, view.Session)
	require.Equal(t, ended.LastEventID, view.LastEventID)
	require.Equal(t, events.StatusEnded, view.Session.Status())
	require.Equal(t, "new", *view.Session.Snapshot().Title)
	log := logOf(t, s, id, 10)
	require.Equal(t, []events.Type{events.CallCreated, events.CallUpdated, events.CallUpdated, events.CallEnded}, typesOf(log))
	require.Equal(t, log[3].EventID, view.LastEventID)
	require.Len(t, s.Outbox(), 4)
	for i, published := range s.Outbox() {
		var envelope events.Envelope
		require.NoError(t, json.Unmarshal(published, &envelope))
		require.Equal(t, log[i].EventID, envelope.EventID, "published in the order of the log")
	}
}

func testMembers(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	alice := domain.Principal{UserID: "alice"}
	update := func(change func(*domain.Session) ([]events.Draft, error)) ports.View {
		t.Helper()
		view, err := s.Store.Update(t.Context(), ports.ViewerOf(alice), id, func(session *domain.Session) ([]ports.Entry, error) {
			drafts, err := change(session)
			if err != nil {
				return nil, err
			}
			return Seal(t, id, drafts, Start), nil
		})
		require.NoError(t, err)
		return view
	}
	set := func(user string, role events.Role) ports.View {
		t.Helper()
		return update(func(session *domain.Session) ([]events.Draft, error) {
			change, err := session.SetMember(alice, events.Member{UserID: user, Role: role}, Start)
			return change.Drafts, err
		})
	}
	set("Z", events.RoleViewer)
	set("~a/b", events.RoleViewer)
	set("bob", events.RoleHost)
	removed := update(func(session *domain.Session) ([]events.Draft, error) {
		return session.RemoveMember(alice, "~a/b", Start)
	})
	require.EqualValues(t, 5, removed.Session.Version())
	view, err := s.Store.Get(t.Context(), viewerOf("bob"), id)
	require.NoError(t, err)
	equalSessions(t, removed.Session, view.Session)
	require.Equal(t, []events.Member{
		{UserID: "Z", Role: events.RoleViewer}, {UserID: "alice", Role: events.RoleHost}, {UserID: "bob", Role: events.RoleHost},
	}, view.Session.Snapshot().Members)
	_, err = s.Store.Get(t.Context(), viewerOf("~a/b"), id)
	require.ErrorIs(t, err, domain.ErrNotFound, "who was removed sees nothing any more")
	set("~a/b", events.RoleParticipant)
	_, err = s.Store.Get(t.Context(), viewerOf("~a/b"), id)
	require.NoError(t, err)
}

func testUpdateRollsBack(t *testing.T, s StoreUnderTest) {
	before := created(t, s)
	id := before.Session.ID()
	_, err := s.Store.Update(t.Context(), viewerOf("alice"), id, func(session *domain.Session) ([]ports.Entry, error) {
		_, err := retitle(t, "lost", Start)(session)
		require.NoError(t, err)
		return nil, errOnPurpose
	})
	require.ErrorIs(t, err, errOnPurpose)
	after, err := s.Store.Get(t.Context(), viewerOf("alice"), id)
	require.NoError(t, err)
	equalSessions(t, before.Session, after.Session)
	require.Len(t, logOf(t, s, id, 10), 1)
	require.Len(t, s.Outbox(), 1)
}

func testUpdateOfNothing(t *testing.T, s StoreUnderTest) {
	before := created(t, s)
	view, err := s.Store.Update(t.Context(), viewerOf("alice"), before.Session.ID(), func(*domain.Session) ([]ports.Entry, error) { return nil, nil })
	require.NoError(t, err)
	equalSessions(t, before.Session, view.Session)
	require.Equal(t, before.LastEventID, view.LastEventID)
	require.Len(t, s.Outbox(), 1)
}

func testTake(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	fact := Fact(t, id, NewID(t), Connected(id, "alice"))
	mustTake(t, s, domain.Append, fact)
	mustTake(t, s, domain.Duplicate, fact)
	view, err := s.Store.Get(t.Context(), viewerOf("alice"), id)
	require.NoError(t, err)
	require.Equal(t, events.StatusActive, view.Session.Status())
	require.Equal(t, fact.EventID, view.LastEventID)
	require.Equal(t, "RM_1", view.Session.Snapshot().Correlation.CallID)
	require.Len(t, logOf(t, s, id, 10), 2)
	require.Len(t, s.Outbox(), 1, "what the provider's side published is not published again")

	mustTake(t, s, domain.Append, Fact(t, id, NewID(t), events.CallDisconnectedPayload{ProviderRoom: Room(id), Reason: events.DisconnectReconnectTimeout}))
	log := logOf(t, s, id, 10)
	require.Equal(t, []events.Type{events.CallCreated, events.CallConnected, events.CallDisconnected, events.CallFailed}, typesOf(log))
	require.Len(t, s.Outbox(), 2, "what follows from it is published")
}

func testQuarantine(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	fact := Fact(t, id, NewID(t), Connected(id, "alice"))
	mustTake(t, s, domain.Append, fact)
	altered := Fact(t, id, fact.EventID, Connected(id, "bob"))
	mustTake(t, s, domain.Quarantine, altered)
	mustTake(t, s, domain.Quarantine, altered)
	invalid := Fact(t, id, NewID(t), Left(id, "bob"))
	mustTake(t, s, domain.Quarantine, invalid)
	nowhere := NewID(t)
	mustTake(t, s, domain.Quarantine, Fact(t, nowhere, NewID(t), Connected(nowhere, "alice")))

	set := s.Quarantine()
	require.Len(t, set, 3, "a repeat is not set aside twice")
	require.Equal(t, domain.QuarantineIDConflict, set[0].Reason)
	require.Equal(t, fact.EventID, set[0].Event.EventID)
	require.Equal(t, domain.QuarantinePresence, set[1].Reason)
	require.NotEmpty(t, set[1].Detail)
	require.Equal(t, domain.QuarantineUnknownSession, set[2].Reason)
	require.Len(t, logOf(t, s, id, 10), 2)
}

func testTakeRollsBack(t *testing.T, s StoreUnderTest) {
	before := created(t, s)
	id := before.Session.ID()
	fact := Fact(t, id, NewID(t), Connected(id, "alice"))
	err := s.Store.Take(t.Context(), fact, func(session *domain.Session, _ *domain.Digest) (ports.Intake, error) {
		session.Observe(fact, nil, Start)
		return ports.Intake{}, errOnPurpose
	})
	require.ErrorIs(t, err, errOnPurpose)
	after, err := s.Store.Get(t.Context(), viewerOf("alice"), id)
	require.NoError(t, err)
	equalSessions(t, before.Session, after.Session)
	mustTake(t, s, domain.Append, fact)
}

func testPresence(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	for _, payload := range []events.Payload{
		Connected(id, "alice"), Joined(id, "alice"), Joined(id, "bob"), Published(id, "bob", "TR_2"), Published(id, "bob", "TR_1"), Left(id, "alice"),
	} {
		mustTake(t, s, domain.Append, Fact(t, id, NewID(t), payload))
	}
	view, err := s.Store.Get(t.Context(), viewerOf("bob"), id)
	require.NoError(t, err)
	require.EqualValues(t, 2, view.Session.Version(), "presence is no change of the version")
	require.Equal(t, []domain.Participant{
		{Identity: "alice#default", UserID: "alice", Presence: domain.PresenceLeft, JoinedAt: Start},
		{Identity: "bob#default", UserID: "bob", Presence: domain.PresencePresent, JoinedAt: Start, OpenTracks: []string{"TR_1", "TR_2"}},
	}, normalized(view.Session.Snapshot()).Participants)
}

func testRacingUpdates(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	const writers = 12
	group, ctx := errgroup.WithContext(t.Context())
	for i := range writers {
		group.Go(func() error {
			_, err := s.Store.Update(ctx, viewerOf("alice"), id, retitle(t, fmt.Sprintf("title %d", i), Start))
			return err
		})
	}
	require.NoError(t, group.Wait())
	view, err := s.Store.Get(t.Context(), viewerOf("alice"), id)
	require.NoError(t, err)
	require.EqualValues(t, 1+writers, view.Session.Version())
	log := logOf(t, s, id, 5)
	require.Len(t, log, 1+writers)
	for i, e := range log[1:] {
		updated, err := events.DecodePayload[events.CallUpdatedPayload](e)
		require.NoError(t, err)
		require.EqualValues(t, i+2, updated.SessionVersion, "the order of the log is the order of the changes")
	}
}

func testRacingFacts(t *testing.T, s StoreUnderTest) {
	id := created(t, s).Session.ID()
	fact := Fact(t, id, NewID(t), Connected(id, "alice"))
	const copies = 8
	decisions := make([]domain.Decision, copies)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range copies {
		group.Go(func() error {
			decision, err := take(ctx, t, s, fact)
			decisions[i] = decision
			return err
		})
	}
	require.NoError(t, group.Wait())
	appended := 0
	for _, d := range decisions {
		if d == domain.Append {
			appended++
		} else {
			require.Equal(t, domain.Duplicate, d)
		}
	}
	require.Equal(t, 1, appended)
	require.Len(t, logOf(t, s, id, 10), 2)
}

func testEndedContext(t *testing.T, s StoreUnderTest) {
	before := created(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Store.Update(ctx, viewerOf("alice"), before.Session.ID(), func(session *domain.Session) ([]ports.Entry, error) {
		entries, err := retitle(t, "too late", Start)(session)
		cancel()
		return entries, err
	})
	require.ErrorIs(t, err, context.Canceled)
	after, err := s.Store.Get(t.Context(), viewerOf("alice"), before.Session.ID())
	require.NoError(t, err)
	equalSessions(t, before.Session, after.Session)
}

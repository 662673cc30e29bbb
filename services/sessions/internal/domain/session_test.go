package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

func TestTheFirstActivationWritesTheCorrelation(t *testing.T) {
	w := setup(t)
	at := w.now
	require.Equal(t, domain.Append, w.observe(connected("bob")).Decision)
	s := w.session.Snapshot()
	require.Equal(t, &domain.Correlation{RoomID: room.RoomName, ParticipantID: "bob#default", CallID: "RM_1"}, s.Correlation)
	require.Equal(t, at, *s.StartedAt, "when it happened")
	other := room
	other.RoomSID = "RM_2"
	require.Equal(t, domain.Append, w.observe(events.CallReconnectingPayload{ProviderRoom: other, Deadline: events.At(at)}).Decision, "the same room, made again")
	require.Equal(t, "RM_1", w.session.Snapshot().Correlation.CallID)
	other.RoomName = "another"
	require.Equal(t, domain.QuarantineProvider, w.observe(events.CallReconnectedPayload{ProviderRoom: other}).Reason)
	require.Equal(t, domain.QuarantineProvider, in(t, "pstn", events.StatusActive).observe(events.CallConnectingPayload{ProviderRoom: room}).Reason)
}

func TestEndIsNeverBeforeTheStart(t *testing.T) {
	w := setup(t)
	id := events.DerivedID("ahead")
	w.deliver(accepted(t, id, w.now.Add(time.Hour), connected("alice")))
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusEnded)}))
	s := w.session.Snapshot()
	require.Equal(t, *s.StartedAt, *s.EndedAt, "the provider's clock is ahead")
	w.requireReplays()
}

func TestPresence(t *testing.T) {
	w := setup(t)
	require.Equal(t, domain.QuarantinePresence, w.observe(joined("alice")).Reason, "nobody is in a call that is not connected")
	w.observe(connected("alice"))
	for i, step := range []struct {
		fact     events.Payload
		accepted bool
		presence domain.Presence
	}{
		{lost("alice"), false, ""},
		{left("alice"), false, ""},
		{published("alice", "TR_1"), false, ""},
		{joined("alice"), true, domain.PresencePresent},
		{joined("alice"), false, domain.PresencePresent},
		{back("alice"), false, domain.PresencePresent},
		{published("alice", "TR_1"), true, domain.PresencePresent},
		{published("alice", "TR_1"), false, domain.PresencePresent},
		{lost("alice"), true, domain.PresenceReconnecting},
		{lost("alice"), false, domain.PresenceReconnecting},
		{back("alice"), true, domain.PresencePresent},
		{lost("alice"), true, domain.PresenceReconnecting},
		{left("alice"), true, domain.PresenceLeft},
		{left("alice"), false, domain.PresenceLeft},
		{published("alice", "TR_2"), false, domain.PresenceLeft},
		{unpublished("alice", "TR_1"), true, domain.PresenceLeft},
		{unpublished("alice", "TR_1"), false, domain.PresenceLeft},
		{joined("alice"), true, domain.PresencePresent},
	} {
		version := w.session.Version()
		verdict := w.observe(step.fact)
		require.Equal(t, step.accepted, verdict.Decision == domain.Append, "step %d: %+v", i, verdict)
		require.Equal(t, version, w.session.Version(), "presence is no change of the version")
		if people := w.session.Snapshot().Participants; step.presence != "" {
			require.Len(t, people, 1, "who left stays listed")
			require.Equal(t, step.presence, people[0].Presence, "step %d", i)
		} else {
			require.Empty(t, people)
		}
	}
	w.requireReplays()
}

func TestAfterTheEndOnlyWhatUndoesIsLogged(t *testing.T) {
	w := setup(t)
	for _, fact := range []events.Payload{connected("alice"), joined("alice"), joined("bob"), left("bob"), published("alice", "TR_1")} {
		require.Equal(t, domain.Append, w.observe(fact).Decision)
	}
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusEnded)}))
	for _, fact := range []events.Payload{
		joined("carol"), joined("bob"), left("bob"), left("carol"), lost("alice"), back("alice"), published("alice", "TR_2"), unpublished("alice", "TR_2"),
		connected("alice"), providerError(false), events.CallConnectingPayload{ProviderRoom: room},
	} {
		require.Equal(t, domain.QuarantineFinal, w.observe(fact).Reason, "%T", fact)
	}
	for _, fact := range []events.Payload{unpublished("alice", "TR_1"), left("alice"), disconnected(events.DisconnectCompleted)} {
		verdict := w.observe(fact)
		require.Equal(t, domain.Append, verdict.Decision, "%T", fact)
		require.Empty(t, verdict.Drafts, "the end is known already")
	}
	require.Equal(t, domain.PresenceLeft, w.session.Snapshot().Participants[0].Presence)
	require.Equal(t, events.StatusEnded, w.session.Status())
	w.requireReplays()
}

func TestARoomThatNobodyEnteredIsNeverDisconnected(t *testing.T) {
	w := setup(t)
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusEnded)}))
	require.Equal(t, domain.QuarantineFinal, w.observe(disconnected(events.DisconnectCompleted)).Reason)
}

func TestWhatIsNoFactOrCannotBeReadIsSetAside(t *testing.T) {
	w := setup(t)
	require.Equal(t, domain.QuarantineNotAFact, w.observe(events.CallEndedPayload{Reason: "x", SessionVersion: 1, EndedAt: events.At(start)}).Reason)
	fact := accepted(t, events.DerivedID("x"), start, connected("alice"))
	fact.Payload = []byte(`{"provider":7}`)
	require.Equal(t, domain.QuarantineUndecodable, w.deliver(fact).Reason)
	fact = accepted(t, events.DerivedID("x"), start, connected("alice"))
	fact.Timestamp = "yesterday"
	require.Equal(t, domain.QuarantineUndecodable, w.deliver(fact).Reason)
	require.Equal(t, events.StatusCreated, w.session.Status())
}

func TestPreconditionsComeAfterReplays(t *testing.T) {
	w := setup(t)
	stale := domain.Precondition{Given: true, Versions: []int64{7}}
	require.ErrorIs(t, w.patch(domain.Patch{Title: events.Some("x"), Expect: stale}), domain.ErrPreconditionFailed)
	require.ErrorIs(t, w.patch(domain.Patch{Expect: stale}), domain.ErrPreconditionFailed)
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusCreated), Expect: stale}))
	require.ErrorIs(t, w.patch(domain.Patch{Status: ptr(events.StatusCreated), Title: events.Some("x"), Expect: stale}), domain.ErrPreconditionFailed)
	require.NoError(t, w.patch(domain.Patch{Title: events.Some("x"), Expect: domain.Precondition{Given: true, Versions: []int64{7, 1}}}))
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusEnded), EndReason: ptr("done")}))
	logged := len(w.log)
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusEnded), EndReason: ptr("another"), Expect: stale}))
	require.Len(t, w.log, logged)
	require.Equal(t, "done", *w.session.Snapshot().EndReason, "the first end counts")
}

func TestAuthorize(t *testing.T) {
	w := newWorld(t, domain.Spec{Members: []events.Member{{UserID: "bob", Role: events.RoleParticipant}, {UserID: "vic", Role: events.RoleViewer}, {UserID: "hal", Role: events.RoleHost}}})
	scoped := func(scope domain.Scope) domain.Principal {
		return domain.Principal{UserID: "svc", Scopes: []domain.Scope{scope}}
	}
	for _, test := range []struct {
		principal           domain.Principal
		read, token, change error
	}{
		{domain.Principal{UserID: "alice"}, nil, nil, nil},
		{domain.Principal{UserID: "hal"}, nil, nil, nil},
		{domain.Principal{UserID: "bob"}, nil, nil, domain.ErrForbidden},
		{domain.Principal{UserID: "vic"}, nil, nil, domain.ErrForbidden},
		{domain.Principal{UserID: "mallory"}, domain.ErrNotFound, domain.ErrNotFound, domain.ErrNotFound},
		{scoped(domain.ScopeRead), nil, domain.ErrForbidden, domain.ErrForbidden},
		{scoped(domain.ScopeAdmin), nil, domain.ErrForbidden, nil},
		{scoped(domain.ScopeEvents), domain.ErrNotFound, domain.ErrNotFound, domain.ErrNotFound},
		{scoped(domain.ScopeUsage), domain.ErrNotFound, domain.ErrNotFound, domain.ErrNotFound},
		{scoped("openid"), domain.ErrNotFound, domain.ErrNotFound, domain.ErrNotFound},
	} {
		require.Equal(t, test.read, w.session.Authorize(test.principal, domain.ActionRead), "%+v", test.principal)
		require.Equal(t, test.token, w.session.Authorize(test.principal, domain.ActionToken), "%+v", test.principal)
		require.Equal(t, test.change, w.session.Authorize(test.principal, domain.ActionChange), "%+v", test.principal)
	}
	require.Equal(t, events.ActorService, scoped(domain.ScopeUsage).Actor().Type)
	require.Equal(t, events.ActorUser, scoped("openid").Actor().Type)
}

func TestHydrateRefusesWhatCannotBe(t *testing.T) {
	good := in(t, "", events.StatusActive).session.Snapshot()
	for name, spoil := range map[string]func(*domain.Snapshot){
		"status":                func(s *domain.Snapshot) { s.Status = "gone" },
		"version":               func(s *domain.Snapshot) { s.Version = 0 },
		"no correlation":        func(s *domain.Snapshot) { s.Correlation = nil },
		"end of what goes on":   func(s *domain.Snapshot) { s.EndedAt = &start },
		"final without end":     func(s *domain.Snapshot) { s.Status = events.StatusEnded },
		"owner demoted":         func(s *domain.Snapshot) { s.Members[0].Role = events.RoleViewer },
		"error without failure": func(s *domain.Snapshot) { s.Failure = &events.ErrorInfo{Code: "x"} },
		"active from nowhere":   func(s *domain.Snapshot) { s.Correlation, s.StartedAt = nil, nil },
		"unsorted participants": func(s *domain.Snapshot) { s.Participants = []domain.Participant{{Identity: "b"}, {Identity: "a"}} },
	} {
		snapshot := in(t, "", events.StatusActive).session.Snapshot()
		spoil(&snapshot)
		_, err := domain.Hydrate(snapshot)
		var corrupt *domain.CorruptError
		require.ErrorAs(t, err, &corrupt, name)
	}
	_, err := domain.Hydrate(good)
	require.NoError(t, err)
}

func TestSnapshotsAreCopies(t *testing.T) {
	w := in(t, "", events.StatusActive)
	w.observe(joined("alice"))
	snapshot := w.session.Snapshot()
	snapshot.Members[0].Role, snapshot.Participants[0].Presence, snapshot.Correlation.RoomID = events.RoleViewer, domain.PresenceLeft, "x"
	require.NotEqual(t, snapshot, w.session.Snapshot())
	w.requireReplays()
}

func TestMetadataBounds(t *testing.T) {
	w := newWorld(t, domain.Spec{Metadata: []byte(`{"a":"` + strings.Repeat("x", 16<<10-8) + `"}`)})
	var invalid *domain.InvalidError
	require.ErrorAs(t, w.patch(domain.Patch{Metadata: []byte(`{"b":1}`)}), &invalid, "16 KiB after the merge")
	require.Equal(t, domain.FaultTooLarge, invalid.Faults[0].Code)
	require.NoError(t, w.patch(domain.Patch{Metadata: []byte(`{"a":null,"b":1}`)}))
	deep := strings.Repeat(`{"a":`, 32) + `[]` + strings.Repeat(`}`, 32)
	require.ErrorAs(t, w.patch(domain.Patch{Metadata: []byte(deep)}), &invalid)
	require.Equal(t, domain.FaultTooDeep, invalid.Faults[0].Code)
	require.ErrorAs(t, w.patch(domain.Patch{Metadata: []byte(`[1]`)}), &invalid)
}

func TestGrantToken(t *testing.T) {
	w := newWorld(t, domain.Spec{Members: []events.Member{{UserID: "vic", Role: events.RoleViewer}}})
	vic := domain.Principal{UserID: "vic"}
	grant, err := w.session.GrantToken(vic, domain.TokenWish{})
	require.NoError(t, err)
	require.Equal(t, domain.TokenGrant{Role: events.RoleViewer, TTL: 10 * time.Minute}, grant)
	grant, err = w.session.GrantToken(vic, domain.TokenWish{TTLSeconds: ptr(int64(30)), DeviceID: ptr("phone_1-A")})
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, grant.TTL)
	for _, wish := range []domain.TokenWish{
		{TTLSeconds: ptr(int64(29))}, {TTLSeconds: ptr(int64(3601))}, {DeviceID: ptr("")}, {DeviceID: ptr("a#b")}, {DisplayName: ptr(strings.Repeat("ä", 129))},
	} {
		_, err = w.session.GrantToken(vic, wish)
		var invalid *domain.InvalidError
		require.ErrorAs(t, err, &invalid)
	}
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusEnded)}))
	_, err = w.session.GrantToken(vic, domain.TokenWish{})
	require.ErrorIs(t, err, domain.ErrSessionFinal)
	_, err = newWorld(t, domain.Spec{Provider: "pstn"}).session.GrantToken(domain.Principal{UserID: "alice"}, domain.TokenWish{})
	require.ErrorIs(t, err, domain.ErrProviderNotSupported)
}

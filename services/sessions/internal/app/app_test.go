package app_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var alice = domain.Principal{UserID: "alice"}

type bundle struct {
	t        *testing.T
	store    *memory.Store
	clock    *memory.Clock
	counters *memory.Counters
	tokens   *memory.Tokens
}

func setup(t *testing.T) *bundle {
	return &bundle{t, memory.NewStore(), memory.NewClock(portstest.Start), &memory.Counters{}, &memory.Tokens{}}
}

func (b *bundle) create(spec domain.Spec) string {
	b.t.Helper()
	view, err := app.CreateSession{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}.Do(b.t.Context(), alice, spec)
	require.NoError(b.t, err)
	return view.Session.ID()
}

func (b *bundle) apply(event events.Accepted) {
	b.t.Helper()
	require.NoError(b.t, app.ApplyEvent{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}.Do(b.t.Context(), event))
}

func (b *bundle) types(id string) []events.Type {
	b.t.Helper()
	page, err := app.ListEvents{Store: b.store}.Do(b.t.Context(), alice, id, ports.PageRequest{Limit: 100})
	require.NoError(b.t, err)
	var types []events.Type
	for _, item := range page.Items {
		accepted, err := events.Accept(deliveryOf(b.t, item))
		require.NoError(b.t, err, "what is logged holds to its contract")
		types = append(types, accepted.Type)
	}
	return types
}

func TestAnEventIsDecidedAndCounted(t *testing.T) {
	b := setup(t)
	id := b.create(domain.Spec{})
	connected := portstest.Fact(t, id, portstest.NewID(t), portstest.Connected(id, "alice"))
	b.apply(connected)
	b.apply(connected)
	b.apply(portstest.Fact(t, id, connected.EventID, portstest.Connected(id, "bob")))
	elsewhere := portstest.NewID(t)
	b.apply(portstest.Fact(t, elsewhere, portstest.NewID(t), portstest.Connected(elsewhere, "alice")))
	b.apply(portstest.Fact(t, id, portstest.NewID(t), events.CallDisconnectedPayload{ProviderRoom: portstest.Room(id), Reason: events.DisconnectCompleted}))
	require.Equal(t, 2, b.counters.Count("appended", ""))
	require.Equal(t, 1, b.counters.Count("duplicate", ""))
	require.Equal(t, 1, b.counters.Count("quarantined", "event_id_conflict"))
	require.Equal(t, 1, b.counters.Count("quarantined", "unknown_session"))
	require.Equal(t, []events.Type{events.CallCreated, events.CallConnected, events.CallDisconnected, events.CallEnded}, b.types(id))
	require.Len(t, b.store.Outbox(), 2, "created and ended; the facts are published already")
	require.Len(t, b.store.Quarantine(), 2)
}

// failingIDs makes no ids.
type failingIDs struct{}

func (failingIDs) NewID() (string, error) { return "", errors.New("no entropy") }

func TestAnEventThatCannotBeTakenInIsNotCounted(t *testing.T) {
	b := setup(t)
	id := b.create(domain.Spec{})
	b.apply(portstest.Fact(t, id, portstest.NewID(t), portstest.Connected(id, "alice")))
	last := portstest.Fact(t, id, portstest.NewID(t), events.CallDisconnectedPayload{ProviderRoom: portstest.Room(id), Reason: events.DisconnectCompleted})
	err := app.ApplyEvent{Store: b.store, Clock: b.clock, IDs: failingIDs{}, Counters: b.counters}.Do(t.Context(), last)
	require.Error(t, err)
	require.Equal(t, 1, b.counters.Count("appended", ""))
	require.Len(t, b.types(id), 2)
	b.apply(last)
	require.Len(t, b.types(id), 4)
}

func TestATokenIsForTheMemberAsTheyAre(t *testing.T) {
	b := setup(t)
	id := b.create(domain.Spec{Kind: events.KindAudio, Members: []events.Member{{UserID: "vic", Role: events.RoleViewer}}})
	device := "phone"
	uc := app.IssueToken{Store: b.store, Tokens: b.tokens, Clock: b.clock}
	token, err := uc.Do(t.Context(), domain.Principal{UserID: "vic"}, id, domain.TokenWish{DeviceID: &device})
	require.NoError(t, err)
	require.Equal(t, "vic#phone", token.Identity)
	require.Equal(t, []ports.TokenRequest{{
		SessionID: id, SessionVersion: 1, Kind: events.KindAudio, UserID: "vic", Role: events.RoleViewer, DeviceID: &device,
		TTL: 10 * time.Minute, RequestedAt: portstest.Start,
	}}, b.tokens.Requests())
	_, err = uc.Do(t.Context(), domain.Principal{UserID: "mallory"}, id, domain.TokenWish{})
	require.ErrorIs(t, err, domain.ErrNotFound)
	require.Len(t, b.tokens.Requests(), 1)
}

// slowTokens answer only when the caller gives up.
type slowTokens struct{}

func (slowTokens) Issue(ctx context.Context, _ ports.TokenRequest) (ports.Token, error) {
	deadline, bounded := ctx.Deadline()
	if !bounded || time.Until(deadline) > app.TokenDeadline {
		return ports.Token{}, errors.New("there is no deadline")
	}
	return ports.Token{}, context.DeadlineExceeded
}

func TestATokenIsNotWaitedForLongerThanTheDeadline(t *testing.T) {
	b := setup(t)
	id := b.create(domain.Spec{})
	_, err := app.IssueToken{Store: b.store, Tokens: slowTokens{}, Clock: b.clock}.Do(t.Context(), alice, id, domain.TokenWish{})
	require.ErrorIs(t, err, ports.ErrProviderUnavailable)
}

func TestOnlyAdminsCreateForOthers(t *testing.T) {
	b := setup(t)
	uc := app.CreateSession{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}
	_, err := uc.Do(t.Context(), domain.Principal{UserID: "svc", Scopes: []domain.Scope{domain.ScopeRead}}, domain.Spec{OwnerID: "alice"})
	require.ErrorIs(t, err, domain.ErrForbidden)
	view, err := uc.Do(t.Context(), domain.Principal{UserID: "svc", Scopes: []domain.Scope{domain.ScopeAdmin}}, domain.Spec{OwnerID: "alice"})
	require.NoError(t, err)
	_, member := view.Session.RoleOf("svc")
	require.False(t, member)
	got, err := app.GetSession{Store: b.store}.Do(t.Context(), alice, view.Session.ID())
	require.NoError(t, err)
	require.Equal(t, view.LastEventID, got.LastEventID)
}

func TestOnlyHostsChange(t *testing.T) {
	b := setup(t)
	id := b.create(domain.Spec{Members: []events.Member{{UserID: "bob", Role: events.RoleParticipant}}})
	uc := app.UpdateSession{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}
	ended := events.StatusEnded
	_, err := uc.Do(t.Context(), domain.Principal{UserID: "bob"}, id, domain.Patch{Status: &ended})
	require.ErrorIs(t, err, domain.ErrForbidden)
	_, err = uc.Do(t.Context(), domain.Principal{UserID: "mallory"}, id, domain.Patch{Status: &ended})
	require.ErrorIs(t, err, domain.ErrNotFound)
	view, err := uc.Do(t.Context(), alice, id, domain.Patch{Status: &ended})
	require.NoError(t, err)
	require.True(t, view.Session.Final())
	require.Equal(t, []events.Type{events.CallCreated, events.CallUpdated, events.CallEnded}, b.types(id))
}

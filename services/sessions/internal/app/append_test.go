package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// TestAnEventThatBreaksItsContractIsNotStored: neither it nor what it was about, and it is counted.
func TestAnEventThatBreaksItsContractIsNotStored(t *testing.T) {
	nobody := domain.Principal{UserID: "very secret", Scopes: []domain.Scope{domain.ScopeAdmin}} // no event can name this actor
	b := setup(t)
	id := b.create(domain.Spec{})
	title := "Changed"
	for kind, try := range map[events.Type]func() error{
		events.CallUpdated: func() error {
			uc := app.UpdateSession{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}
			_, err := uc.Do(t.Context(), nobody, id, domain.Patch{Title: events.Some(title)})
			return err
		},
		events.CallMemberAdded: func() error {
			uc := app.SetMember{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}
			_, err := uc.Do(t.Context(), nobody, id, events.Member{UserID: "bob", Role: events.RoleViewer})
			return err
		},
		events.CallCreated: func() error {
			uc := app.CreateSession{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}
			_, err := uc.Do(t.Context(), nobody, domain.Spec{OwnerID: "carol"})
			return err
		},
	} {
		err := try()
		var invalid *events.InvalidEventError
		require.ErrorAs(t, err, &invalid, kind)
		require.Equal(t, "/actor/id", invalid.Pointer)
		require.ErrorContains(t, err, "/actor/id")
		require.NotContains(t, err.Error(), "secret")
		require.Equal(t, 1, b.counters.Count("refused", string(kind)), kind)
	}
	view, err := app.GetSession{Store: b.store}.Do(t.Context(), alice, id)
	require.NoError(t, err)
	require.EqualValues(t, 1, view.Session.Version())
	require.Equal(t, []events.Type{events.CallCreated}, b.types(id))
	require.Len(t, b.store.Outbox(), 1)
}

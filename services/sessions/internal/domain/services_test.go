package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// TestWhatServicesSayChangesNothing goes through every status; the property test does so in any order.
func TestWhatServicesSayChangesNothing(t *testing.T) {
	for _, status := range []events.Status{
		events.StatusCreated, events.StatusActive, events.StatusReconnecting, events.StatusEnded, events.StatusFailed,
	} {
		w := in(t, "", status)
		before, logged := w.session.Snapshot(), len(w.log)
		fact := said(t, events.DerivedID("said"), w.now, transcript("yes"))
		require.Equal(t, domain.Verdict{Decision: domain.Append}, w.deliver(fact), string(status))
		require.Equal(t, domain.Duplicate, w.deliver(fact).Decision)
		require.Equal(t, domain.QuarantineIDConflict, w.deliver(said(t, fact.EventID, w.now, transcript("no"))).Reason)
		require.Equal(t, before, w.session.Snapshot(), string(status))
		require.Len(t, w.log, logged+1)
		w.requireReplays()
	}
}

func TestALogBeginsWithTheCreation(t *testing.T) {
	w := setup(t)
	w.deliver(said(t, events.DerivedID("said"), w.now, transcript("yes")))
	for _, log := range [][]domain.Logged{nil, w.log[1:]} {
		_, err := domain.Replay(log)
		require.ErrorContains(t, err, "call.created")
	}
}

func TestWhoMayPostWhat(t *testing.T) {
	scopes := map[events.Family]domain.Scope{events.FamilyOrchestration: domain.ScopeEvents, events.FamilyMetering: domain.ScopeUsage}
	for _, scope := range []domain.Scope{domain.ScopeRead, domain.ScopeEvents, domain.ScopeUsage, domain.ScopeAdmin, ""} {
		caller := domain.Principal{UserID: "x", Scopes: []domain.Scope{scope}}
		posts := false
		for _, typ := range events.Types() {
			family := events.FamilyOf(typ)
			want := family.OfServices() && scopes[family] == scope
			require.Equal(t, want, caller.MayPost(typ), "%s with %q", typ, scope)
			posts = posts || want
		}
		require.Equal(t, posts, caller.Posts())
		require.False(t, caller.MayPost("billing.unknown"))
	}
	require.False(t, domain.ShownToMembers(events.BillingUsageRecorded))
	require.False(t, domain.ShownToMembers(events.BillingAdjustmentCreated))
	require.True(t, domain.ShownToMembers(events.UsageTick))
}

package domain_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// TestAnyHistoryReplays drives a session with commands and facts in any order, delayed, repeated and
// altered, and holds it to the invariants after each step.
func TestAnyHistoryReplays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		provider := rapid.SampledFrom([]string{"livekit", "livekit", "livekit", "pstn"}).Draw(t, "provider")
		w := newWorld(t, domain.Spec{Provider: provider, Metadata: []byte(`{"a":1}`)})
		var sent []events.Accepted
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		for step := range steps {
			before := w.session.Snapshot()
			logged := len(w.log)
			switch rapid.SampledFrom([]string{"fact", "fact", "fact", "said", "again", "altered", "patch", "member"}).Draw(t, "kind") {
			case "fact":
				fact := accepted(t, events.DerivedID("step", fmt.Sprint(step)), w.now, drawFact(t))
				sent = append(sent, fact)
				w.deliver(fact)
			case "said":
				fact := said(t, events.DerivedID("step", fmt.Sprint(step)), w.now, drawSaying(t))
				sent = append(sent, fact)
				verdict := w.deliver(fact)
				require.Equal(t, domain.Verdict{Decision: domain.Append}, verdict, "what services say is logged in every status")
				require.Equal(t, before, w.session.Snapshot(), "and changes none")
			case "again":
				if len(sent) > 0 {
					fact := sent[rapid.IntRange(0, len(sent)-1).Draw(t, "again")]
					digest, had := w.digests[fact.EventID]
					verdict := w.deliver(fact)
					require.Equal(t, had && digest == fact.Digest, verdict.Decision == domain.Duplicate, "a repeat has no effect")
				}
			case "altered":
				if len(sent) > 0 {
					id := sent[rapid.IntRange(0, len(sent)-1).Draw(t, "altered")].EventID
					_, had := w.digests[id]
					verdict := w.deliver(accepted(t, id, w.now, events.CallErrorPayload{Provider: provider, Code: "x", Message: fmt.Sprint(step), Retryable: true}))
					if had {
						require.Equal(t, domain.QuarantineIDConflict, verdict.Reason)
						require.Len(t, w.log, logged)
					}
				}
			case "patch":
				checkPatchError(t, w.patch(drawPatch(t)))
			case "member":
				checkMemberError(t, changeMember(t, w))
			}
			checkStep(t, before, w.session.Snapshot(), len(w.log) > logged)
		}
		w.requireReplays()
		hydrated, err := domain.Hydrate(w.session.Snapshot())
		require.NoError(t, err)
		require.Equal(t, w.session.Snapshot(), hydrated.Snapshot())
	})
}

func checkStep(t *rapid.T, before, after domain.Snapshot, appended bool) {
	if !appended {
		require.Equal(t, before, after, "nothing changes without an event")
	}
	changes := int64(0)
	if !reflect.DeepEqual(counted(before), counted(after)) {
		changes = 1
	}
	require.Equal(t, before.Version+changes, after.Version, "a version for a step that changes what it counts, and none for any other")
	require.False(t, after.UpdatedAt.Before(before.UpdatedAt))
	if before.EndedAt != nil {
		require.Equal(t, before.Status, after.Status, "final is final")
		require.Equal(t, before.EndedAt, after.EndedAt)
		require.Equal(t, before.EndReason, after.EndReason)
		require.Equal(t, before.Failure, after.Failure)
		require.Equal(t, before.Members, after.Members)
	}
	if before.Correlation != nil {
		require.Equal(t, before.Correlation, after.Correlation, "the correlation is immutable")
		require.Equal(t, before.StartedAt, after.StartedAt)
	}
	require.Contains(t, after.Members, events.Member{UserID: after.OwnerID, Role: events.RoleHost}, "the owner stays a host")
}

// counted is what of a session the version counts the changes of: status, members and what can be set.
func counted(s domain.Snapshot) domain.Snapshot {
	return domain.Snapshot{
		Status: s.Status, Members: s.Members, Title: s.Title, Metadata: s.Metadata, Correlation: s.Correlation, EndReason: s.EndReason,
		Failure: s.Failure, StartedAt: s.StartedAt, EndedAt: s.EndedAt,
	}
}

// changeMember has anybody set or remove anybody.
func changeMember(t *rapid.T, w *world) error {
	people := []string{"alice", "bob", "carol", "mallory"}
	caller := domain.Principal{UserID: rapid.SampledFrom(people).Draw(t, "caller")}
	if rapid.Bool().Draw(t, "as admin") {
		caller.Scopes = []domain.Scope{domain.ScopeAdmin}
	}
	subject := rapid.SampledFrom(people).Draw(t, "subject")
	if rapid.Bool().Draw(t, "remove") {
		return w.removeMember(caller, subject)
	}
	_, err := w.setMember(caller, subject, rapid.SampledFrom([]events.Role{events.RoleHost, events.RoleParticipant, events.RoleViewer}).Draw(t, "role"))
	return err
}

func checkMemberError(t *rapid.T, err error) {
	for _, known := range []error{domain.ErrNotFound, domain.ErrForbidden, domain.ErrNotAMember, domain.ErrOwnerImmutable, domain.ErrSessionFinal} {
		if err == nil || errors.Is(err, known) {
			return
		}
	}
	t.Fatalf("a change of members failed with an error that nobody knows: %v", err)
}

func drawFact(t *rapid.T) events.Payload {
	user := rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user")
	sid := rapid.SampledFrom([]string{"TR_1", "TR_2"}).Draw(t, "track")
	reason := rapid.SampledFrom([]events.DisconnectReason{events.DisconnectCompleted, events.DisconnectReconnectTimeout, events.DisconnectProviderFailure}).Draw(t, "reason")
	facts := []events.Payload{
		connected(user), connected(user), joined(user), joined(user), left(user), lost(user), back(user),
		published(user, sid), unpublished(user, sid), disconnected(reason),
		events.CallConnectingPayload{ProviderRoom: room},
		events.CallReconnectingPayload{ProviderRoom: room, Deadline: events.At(start)},
		events.CallReconnectedPayload{ProviderRoom: room},
		providerError(true), providerError(false),
	}
	return facts[rapid.IntRange(0, len(facts)-1).Draw(t, "fact")]
}

func drawSaying(t *rapid.T) events.Payload {
	at, text := events.At(start), rapid.SampledFrom([]string{"yes", "no"}).Draw(t, "text")
	metered, period := events.Metered{Meter: "call.participant_time", Unit: "second"}, events.Period{From: at, To: events.At(start.Add(time.Minute))}
	return rapid.SampledFrom([]events.Payload{
		transcript(text),
		events.ActionExecutedPayload{Action: events.Action{ActionID: "a-1", Kind: "calendar.move"}, Summary: text, Result: []byte(`{}`)},
		events.UsageTickPayload{Metered: metered, Sequence: 1, Quantity: "60", Total: "60", Period: period},
		events.BillingUsageRecordedPayload{BillingRecord: events.BillingRecord{RecordID: "r-1"}, Metered: metered, Quantity: "60", Period: period},
	}).Draw(t, "saying")
}

func drawPatch(t *rapid.T) domain.Patch {
	p := domain.Patch{}
	if rapid.Bool().Draw(t, "withStatus") {
		p.Status = ptr(rapid.SampledFrom([]events.Status{
			events.StatusCreated, events.StatusActive, events.StatusReconnecting, events.StatusEnded, events.StatusFailed,
		}).Draw(t, "status"))
	}
	if rapid.Bool().Draw(t, "withTitle") {
		p.Title = events.Some(rapid.SampledFrom([]string{"one", "two"}).Draw(t, "title"))
	}
	if rapid.Bool().Draw(t, "withMetadata") {
		p.Metadata = []byte(rapid.SampledFrom([]string{`{"a":null}`, `{"a":1.0}`, `{"b":{"c":[1,null]}}`, `null`}).Draw(t, "metadata"))
	}
	if rapid.Bool().Draw(t, "withCorrelation") {
		id := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "id")
		p.ProviderRoomID, p.ProviderParticipantID, p.ProviderCallID = &id, &id, &id
	}
	return p
}

func checkPatchError(t *rapid.T, err error) {
	var invalid *domain.InvalidError
	var transition *domain.InvalidTransitionError
	if err == nil || errors.As(err, &invalid) || errors.As(err, &transition) {
		return
	}
	for _, known := range []error{domain.ErrSessionFinal, domain.ErrCorrelationMismatch, domain.ErrProviderManaged} {
		if errors.Is(err, known) {
			return
		}
	}
	t.Fatalf("a patch failed with an error that nobody knows: %v", err)
}

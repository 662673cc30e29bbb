package events_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// TestMaySend says of each family who may send it, and of everybody else that they may not.
func TestMaySend(t *testing.T) {
	allowed := map[events.Family][]string{
		events.FamilySessions:      {"sessions"},
		events.FamilyProvider:      {"bridge"},
		events.FamilyOrchestration: {"orchestrator", "orchestrator.asr", "orchestrator.a.b", "sessions"},
		events.FamilyMetering:      {"billing", "billing.meter", "sessions"},
	}
	users := []string{
		"", ".", "admin", "sessions", "sessions.x", "bridge", "bridge.x", "Orchestrator", "orchestrator", "orchestrator.", "orchestrators",
		"orchestrator.asr", "orchestrator.a.b", "x.orchestrator", "billing", "billing.", "billing.meter", "billing-meter",
	}
	seen := map[events.Family]bool{}
	for _, eventType := range events.Types() {
		family := events.FamilyOf(eventType)
		seen[family] = true
		for _, user := range users {
			assert.Equal(t, slices.Contains(allowed[family], user), events.MaySend(user, eventType), "%q may send %s", user, eventType)
		}
	}
	assert.Len(t, seen, len(allowed))
	for _, user := range users {
		assert.False(t, events.MaySend(user, "call.strange"), user)
	}
	assert.Empty(t, events.FamilyOf("call.strange"))
}

// TestFamiliesByName: a type's family is told by how its name begins, so that broker permissions and
// scopes can be written by it.
func TestFamiliesByName(t *testing.T) {
	for _, eventType := range events.Types() {
		var want []events.Family
		switch first, _, _ := strings.Cut(string(eventType), "."); first {
		case "call":
			want = []events.Family{events.FamilySessions, events.FamilyProvider}
		case "transcript", "orchestration", "action", "safety":
			want = []events.Family{events.FamilyOrchestration}
		case "usage", "billing":
			want = []events.Family{events.FamilyMetering}
		}
		assert.Contains(t, want, events.FamilyOf(eventType), eventType)
	}
}

// TestEachForgeryIsRejected tries with each type, from each user who may send it, each way to tell the
// broker one thing and the reader another, or to speak for somebody else.
func TestEachForgeryIsRejected(t *testing.T) {
	for _, eventType := range events.Types() {
		t.Run(string(eventType), func(t *testing.T) {
			event := examples(t, eventType, "valid")["valid"]
			for name, forge := range forgeries(eventType) {
				d := delivered(eventType, event)
				forge.change(t, &d)
				_, err := events.Accept(d)
				var rejected *events.RejectedError
				if assert.ErrorAs(t, err, &rejected, name) {
					assert.Equal(t, forge.reason, rejected.Reason, "%s: %s", name, rejected.Detail)
				}
			}
		})
	}
}

// TestServicesSpeakForThemselves: a further producer of a family may send it in its own name; what was
// posted comes from sessions in the name of who posted it.
func TestServicesSpeakForThemselves(t *testing.T) {
	for _, eventType := range events.Types() {
		if !events.FamilyOf(eventType).OfServices() {
			continue
		}
		further := events.Producer(eventType) + ".further"
		for user, actor := range map[string]string{further: further, events.ProducerSessions: "anybody"} {
			d := delivered(eventType, examples(t, eventType, "valid")["valid"])
			d.UserID = user
			rewrite(t, &d, func(event map[string]any) { event["actor"] = map[string]any{"type": "service", "id": actor} })
			_, err := events.Accept(d)
			require.NoError(t, err, "%s by %s", eventType, user)
		}
	}
}

type forgery struct {
	reason events.Reason
	change func(t *testing.T, d *events.Delivery)
}

func forgeries(eventType events.Type) map[string]forgery {
	other := events.TranscriptFinal
	if eventType == other {
		other = events.CallDisconnected
	}
	by := func(user string) forgery {
		return forgery{events.ForbiddenProducer, func(_ *testing.T, d *events.Delivery) { d.UserID = user }}
	}
	ways := map[string]forgery{
		"under another type's key":   {events.PropertyMismatch, func(_ *testing.T, d *events.Delivery) { d.RoutingKey = string(other) }},
		"under another id":           {events.PropertyMismatch, func(_ *testing.T, d *events.Delivery) { d.MessageID = sessionID }},
		"under another session":      {events.PropertyMismatch, func(_ *testing.T, d *events.Delivery) { d.SessionHeader = eventID }},
		"by nobody":                  by(""),
		"by an administrator":        by("admin"),
		"by a name that is like one": by(events.Producer(eventType) + "s"),
	}
	for _, family := range []string{"sessions", "bridge", "orchestrator", "orchestrator.asr", "billing", "billing.meter"} {
		if !events.MaySend(family, eventType) {
			ways["by "+family] = by(family)
		}
	}
	if !events.FamilyOf(eventType).OfServices() {
		return ways
	}
	actor := func(reason events.Reason, user, kind, id string) forgery {
		return forgery{reason, func(t *testing.T, d *events.Delivery) {
			d.UserID = user
			rewrite(t, d, func(event map[string]any) { event["actor"] = map[string]any{"type": kind, "id": id} })
		}}
	}
	producer := events.Producer(eventType)
	ways["in another service's name"] = actor(events.ForbiddenActor, producer, "service", "somebody")
	ways["in the family's name by a further producer"] = actor(events.ForbiddenActor, producer+".further", "service", producer)
	ways["in a further producer's name"] = actor(events.ForbiddenActor, producer, "service", producer+".further")
	ways["in sessions' name"] = actor(events.ForbiddenActor, producer, "service", "sessions")
	ways["in a user's name"] = actor(events.SchemaViolation, producer, "user", producer)
	ways["in the provider's name, by sessions"] = actor(events.SchemaViolation, "sessions", "provider", "livekit")
	return ways
}

// rewrite changes the body of d and nothing else.
func rewrite(t *testing.T, d *events.Delivery, change func(event map[string]any)) {
	t.Helper()
	event := parse(t, d.Body)
	change(event)
	text, err := json.Marshal(event)
	require.NoError(t, err)
	d.Body = text
}

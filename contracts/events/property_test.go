package events_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
)

// TestWhatIsSealedIsAccepted: what a type's schema allows can be sealed, is accepted by who receives
// it as the same event, and is the same again after it went through the Go type.
func TestWhatIsSealedIsAccepted(t *testing.T) {
	for _, payload := range payloads {
		eventType := payload.EventType()
		t.Run(string(eventType), func(t *testing.T) {
			drawn := payloadsOf(t, eventType)
			rapid.Check(t, func(r *rapid.T) {
				text := encoded(r, drawn.Draw(r, "payload"))
				sealed, err := events.Seal(eventID, sessionID, draftOf(rawPayload{eventType, text}))
				require.NoError(r, err)
				accepted, err := events.Accept(deliveryFrom(events.Producer(eventType), sealed))
				require.NoError(r, err)
				require.Equal(r, sealed.Envelope(), accepted.Envelope)
				require.Equal(r, string(sealed.JSON()), string(accepted.Raw))
				require.Equal(r, sealed.Digest(), accepted.Digest)

				decoded := reflect.New(reflect.TypeOf(payload))
				require.NoError(r, json.Unmarshal(accepted.Payload, decoded.Interface()))
				again, err := events.Seal(eventID, sessionID, draftOf(decoded.Elem().Interface().(events.Payload)))
				require.NoError(r, err)
				require.Equal(r, parse(t, accepted.Payload), parse(t, again.Envelope().Payload))
			})
		})
	}
}

// TestNewerMinorsAreKeptWhole: an event of a newer minor version is accepted, whatever more its
// payload has and wherever, and kept byte by byte. The same in our own version, or in a newer major, is
// refused.
func TestNewerMinorsAreKeptWhole(t *testing.T) {
	for _, eventType := range events.Types() {
		t.Run(string(eventType), func(t *testing.T) {
			drawn := payloadsOf(t, eventType)
			node := object(object(parse(t, events.Schema(eventType))["properties"])["payload"])
			rapid.Check(t, func(r *rapid.T) {
				payload := drawn.Draw(r, "payload")
				places := closedObjects(t, node, payload)
				place := places[rapid.IntRange(0, len(places)-1).Draw(r, "place")]
				place["x_"+rapid.StringMatching("[a-z]{1,8}").Draw(r, "name")] = anything().Draw(r, "value")
				deliver := func(version string) (events.Accepted, error) {
					text := encoded(r, events.Envelope{
						EventID: eventID, Timestamp: "2026-11-23T08:36:30Z", SessionID: sessionID, Type: eventType,
						Actor: draftOf(rawPayload{eventType: eventType}).Actor, Payload: encoded(r, payload), Version: version,
					})
					return events.Accept(delivered(eventType, text))
				}
				minor := rapid.IntRange(1, 9999).Draw(r, "minor")
				accepted, err := deliver("1." + strconv.Itoa(minor))
				require.NoError(r, err)
				require.Equal(r, string(encoded(r, payload)), string(accepted.Payload))

				var rejected *events.RejectedError
				_, err = deliver("1.0")
				require.ErrorAs(r, err, &rejected)
				require.Equal(r, events.SchemaViolation, rejected.Reason)
				_, err = deliver("2." + strconv.Itoa(minor))
				require.ErrorAs(r, err, &rejected)
				require.Equal(r, events.UnsupportedVersion, rejected.Reason)
			})
		})
	}
}

// closedObjects returns the payload and the objects within it that have only fields which the schema
// names: where a minor version may add one.
func closedObjects(t *testing.T, schema map[string]any, value any) []map[string]any {
	schema = resolve(t, schema)
	var found []map[string]any
	switch value := value.(type) {
	case map[string]any:
		if schema["additionalProperties"] == false {
			found = append(found, value)
		}
		for _, name := range slices.Sorted(maps.Keys(value)) {
			found = append(found, closedObjects(t, object(object(schema["properties"])[name]), value[name])...)
		}
	case []any:
		for _, item := range value {
			found = append(found, closedObjects(t, object(schema["items"]), item)...)
		}
	}
	return found
}

// draftOf makes a draft of payload, with an actor that may tell of it.
func draftOf(payload events.Payload) events.Draft {
	actor := events.Actor{Type: events.ActorSystem, ID: events.ProducerSessions}
	if events.FamilyOf(payload.EventType()).OfServices() {
		actor = events.Actor{Type: events.ActorService, ID: events.Producer(payload.EventType())}
	}
	return events.Draft{Timestamp: at, Actor: actor, Payload: payload}
}

// deliveryFrom is what the broker delivers when user publishes the event as it should be.
func deliveryFrom(user string, sealed events.Sealed) events.Delivery {
	e := sealed.Envelope()
	return events.Delivery{
		Body: sealed.JSON(), RoutingKey: string(e.Type), MessageID: e.EventID, UserID: user, SessionHeader: e.SessionID,
	}
}

package app_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// deliveryOf makes the message that carries an event of the log.
func deliveryOf(t *testing.T, item json.RawMessage) events.Delivery {
	t.Helper()
	var e events.Envelope
	require.NoError(t, json.Unmarshal(item, &e))
	return events.Delivery{
		Body: item, RoutingKey: string(e.Type), MessageID: e.EventID, UserID: events.Producer(e.Type), SessionHeader: e.SessionID,
	}
}

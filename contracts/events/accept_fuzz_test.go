package events_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// FuzzAccept: whatever comes, Accept does not panic, an error is a rejection with a reason, and what
// is accepted is whole: its time and payload can be read, and written anew it is the same event.
func FuzzAccept(f *testing.F) {
	for _, eventType := range events.Types() {
		f.Add(events.Schema(eventType))
	}
	f.Add(body("1.0", payload, ""))
	f.Add(body("1.9", `{"userId":"bob","role":"viewer","sessionVersion":2e0,"x":["\ud83d\ude00",{"y":-0.10}]}`, ""))
	f.Add([]byte(`{"type":"call.created","type":1}`))
	f.Add([]byte("[[[[[[[[[[[[\\u00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		accepted, err := acceptFromItself(text)
		if err != nil {
			var rejected *events.RejectedError
			require.ErrorAs(t, err, &rejected)
			require.NotEmpty(t, rejected.Reason)
			require.LessOrEqual(t, len(rejected.Detail), 512)
			require.True(t, utf8.ValidString(rejected.Detail))
			return
		}
		require.Equal(t, text, []byte(accepted.Raw))
		_, err = accepted.Time()
		require.NoError(t, err)

		var again bytes.Buffer
		encoder := json.NewEncoder(&again)
		encoder.SetEscapeHTML(false)
		require.NoError(t, encoder.Encode(accepted.Envelope))
		second, err := acceptFromItself(again.Bytes())
		require.NoError(t, err)
		require.Equal(t, accepted.Digest, second.Digest)
	})
}

// acceptFromItself delivers text with the properties that it claims itself, so that fuzzing gets
// past them.
func acceptFromItself(text []byte) (events.Accepted, error) {
	var claimed struct {
		EventID   string `json:"eventId"`
		SessionID string `json:"sessionId"`
		Type      string `json:"type"`
	}
	_ = json.Unmarshal(text, &claimed) // what can't be read stays empty
	return events.Accept(events.Delivery{
		Body:          text,
		RoutingKey:    claimed.Type,
		MessageID:     claimed.EventID,
		UserID:        events.Producer(events.Type(claimed.Type)),
		SessionHeader: claimed.SessionID,
	})
}

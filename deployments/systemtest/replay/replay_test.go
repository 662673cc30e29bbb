package replay_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/utils/protojson"
	"github.com/livekit/protocol/webhook"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/replay"
)

func parse(t *testing.T, body []byte) *livekit.WebhookEvent {
	t.Helper()
	event := &livekit.WebhookEvent{}
	require.NoError(t, protojson.Unmarshal(body, event))
	return event
}

func TestRecordingsAreMadeOut(t *testing.T) {
	for _, name := range []string{"clean", "remove", "empty", "delete"} {
		recording, err := replay.Load(name)
		require.NoError(t, err)
		require.NotEmpty(t, recording)
		made := recording.For("call-x", map[string]string{"alice": `al"ice#1`, "bob": "bob#2"}, "abc")
		again := made.Renumbered("xyz")
		for i := range recording {
			was, is, once := parse(t, recording[i]), parse(t, made[i]), parse(t, again[i])
			require.Equal(t, "call-x", is.GetRoom().GetName())
			require.Equal(t, was.GetId()+"abc", is.GetId())
			require.Equal(t, was.GetRoom().GetSid()+"abc", is.GetRoom().GetSid())
			require.Equal(t, is.GetRoom().GetSid(), once.GetRoom().GetSid())
			require.Equal(t, is.GetId()+"xyz", once.GetId())
			require.Equal(t, was.GetTrack().GetName(), is.GetTrack().GetName())
			if p := was.GetParticipant(); p != nil {
				require.Equal(t, p.GetSid()+"abc", is.GetParticipant().GetSid())
				require.Equal(t, map[string]string{"alice": `al"ice#1`, "bob": "bob#2"}[p.GetIdentity()], is.GetParticipant().GetIdentity())
			}
			if strings.Contains(string(recording[i]), "turnPassword") {
				require.Contains(t, string(made[i]), replay.TURNPassword)
			}
		}
	}
	_, err := replay.Load("nothing")
	require.Error(t, err)
}

// TestSignatureIsLiveKits holds it against the check of LiveKit's own SDK.
func TestSignatureIsLiveKits(t *testing.T) {
	const key, secret = "key", "a-secret-of-thirty-two-characters"
	var verified error
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, verified = webhook.Receive(r, auth.NewSimpleKeyProvider(key, secret))
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}))
	defer server.Close()
	body := []byte(`{"event":"room_started"}`)
	authorization, err := replay.Sign(key, secret, body)
	require.NoError(t, err)
	answer, err := replay.Send(t.Context(), server.URL, authorization, body)
	require.NoError(t, err)
	require.NoError(t, verified)
	require.Equal(t, replay.Answer{Status: http.StatusTeapot, ContentType: "text/plain", Body: []byte("short and stout")}, answer)
	_, err = replay.Send(t.Context(), server.URL, authorization, append(body, ' '))
	require.NoError(t, err)
	require.Error(t, verified)
}

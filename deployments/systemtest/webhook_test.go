//go:build integration

package systemtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/replay"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// recorded is what each recording has to lead to, and the status that the session then has.
var recorded = map[string]struct {
	status string
	log    []string
}{
	"clean": {"ended", []string{
		"call.created", "call.connecting", "call.connected alice", "call.participant.joined alice", "call.participant.joined bob",
		"call.track.published alice", "call.track.unpublished alice", "call.participant.left alice client_initiated",
		"call.participant.left bob client_initiated", "call.disconnected completed", "call.ended completed",
	}},
	"remove": {"ended", []string{
		"call.created", "call.connecting", "call.connected alice", "call.participant.joined alice", "call.track.published alice",
		"call.participant.joined bob", "call.track.unpublished alice", "call.participant.left alice participant_removed",
		"call.participant.left bob client_initiated", "call.disconnected completed", "call.ended completed",
	}},
	"delete": {"ended", []string{
		"call.created", "call.connecting", "call.connected alice", "call.participant.joined alice", "call.track.published alice",
		"call.participant.joined bob", "call.track.published bob",
		"call.track.unpublished alice", "call.participant.left alice room_deleted",
		"call.track.unpublished bob", "call.participant.left bob room_deleted", "call.disconnected completed", "call.ended completed",
	}},
	"empty": {"created", []string{"call.created", "call.connecting"}},
}

// replays sends recorded webhooks of a real server: the canonical events are exactly those expected, also when all comes a second time.
func replays(t *testing.T, s *stack.Stack) {
	t.Run("recordings", func(t *testing.T) {
		for name := range recorded {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				replayed(t, s, name)
			})
		}
	})
	t.Run("of a room that nobody made", func(t *testing.T) {
		recording, err := replay.Load("clean")
		require.NoError(t, err)
		room := "call-" + uuid.NewString()
		webhooks := recording.For(room, nil, unique())
		send(t, s, webhooks)
		require.Empty(t, eventsMade(t, s, strings.TrimPrefix(room, "call-")))
		require.Equal(t, 1, count(t, s.BridgeDB.AdminURL, receiptsOf, webhookID(t, webhooks[0])), "it is recorded all the same")
	})
	noTURNPasswordKept(t, s.BridgeDB.AdminURL)
}

func replayed(t *testing.T, s *stack.Stack, name string) {
	want := recorded[name]
	id := newSession(t, s).SessionID
	webhooks := recordingFor(t, s, name, id)
	send(t, s, webhooks)
	log := s.AwaitLog(t, id, alice, want.log...)
	requireLines(t, log, want.log...)
	require.Equal(t, want.status, get(t, s, id).Status)

	made := eventsMade(t, s, id)
	require.NotEmpty(t, made)
	send(t, s, webhooks)
	require.Equal(t, made, eventsMade(t, s, id), "the same webhooks again made other events")
	send(t, s, webhooks.Renumbered("again"))
	require.Equal(t, made, eventsMade(t, s, id), "the same facts under other webhook ids made other events")
	after, err := s.API.As(alice).Log(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, raw(log), raw(after))
}

// recordingFor makes a recording out to a session: its room, and the identities of the tokens issued to alice and bob.
func recordingFor(t *testing.T, s *stack.Stack, name, sessionID string) replay.Recording {
	t.Helper()
	recording, err := replay.Load(name)
	require.NoError(t, err)
	a, b := s.Token(t, sessionID, alice), s.Token(t, sessionID, bob)
	require.Equal(t, a.RoomName, b.RoomName)
	return recording.For(a.RoomName, map[string]string{alice: a.Identity, bob: b.Identity}, unique())
}

func send(t *testing.T, s *stack.Stack, webhooks replay.Recording) {
	t.Helper()
	for i, body := range webhooks {
		answer := s.Webhook(t, body)
		require.Equal(t, http.StatusOK, answer.Status, "webhook %d: %s", i, answer.Body)
	}
}

// refusals sends what LiveKit never sent.
func refusals(t *testing.T, s *stack.Stack) {
	id := newSession(t, s).SessionID
	body := recordingFor(t, s, "clean", id)[0]
	signed := func(key, secret string, body []byte) string {
		authorization, err := replay.Sign(key, secret, body)
		require.NoError(t, err)
		return authorization
	}
	good := signed(s.LiveKit.APIKey, s.LiveKit.APISecret, body)
	huge := append(bytes.Clone(body[:len(body)-1]), []byte(`,"padding":"`+strings.Repeat("x", 10<<20)+`"}`)...)
	receipts := count(t, s.BridgeDB.AdminURL, receiptsOf, webhookID(t, body))

	for name, c := range map[string]struct {
		authorization string
		body          []byte
		status        int
	}{
		"unsigned":                        {"", body, http.StatusUnauthorized},
		"no token":                        {"nonsense", body, http.StatusUnauthorized},
		"signed by another's secret":      {signed(s.LiveKit.APIKey, strings.Repeat("s", 32), body), body, http.StatusUnauthorized},
		"signed with an unknown key":      {signed("nobody", s.LiveKit.APISecret, body), body, http.StatusUnauthorized},
		"altered after it was signed":     {good, bytes.Replace(body, []byte("room_started"), []byte("room_finished"), 1), http.StatusUnauthorized},
		"10 MiB, signed":                  {signed(s.LiveKit.APIKey, s.LiveKit.APISecret, huge), huge, http.StatusRequestEntityTooLarge},
		"10 MiB, unsigned":                {"", huge, http.StatusRequestEntityTooLarge},
		"not JSON, though rightly signed": {signed(s.LiveKit.APIKey, s.LiveKit.APISecret, []byte("{")), []byte("{"), http.StatusBadRequest},
	} {
		answer, err := replay.Send(t.Context(), s.WebhookURL(), c.authorization, c.body)
		require.NoError(t, err, name)
		require.Equal(t, c.status, answer.Status, name)
		require.Equal(t, "application/problem+json", answer.ContentType, name)
	}
	require.Zero(t, receipts)
	require.Zero(t, count(t, s.BridgeDB.AdminURL, receiptsOf, webhookID(t, body)), "a refused webhook left a receipt")
	require.Empty(t, eventsMade(t, s, id), "a refused webhook made an event")
	requireLines(t, s.AwaitLog(t, id, alice, "call.created"), "call.created")

	// The very same body, rightly signed, is taken: so it was the signature that made the difference.
	require.Equal(t, http.StatusOK, s.Webhook(t, body).Status)
	s.AwaitEvent(t, id, alice, "call.connecting")
}

func webhookID(t *testing.T, body []byte) string {
	t.Helper()
	var webhook struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.Unmarshal(body, &webhook))
	require.NotEmpty(t, webhook.ID)
	return webhook.ID
}

// unique makes the recorded ids of the provider this test's own.
func unique() string { return strings.ReplaceAll(uuid.NewString(), "-", "")[:10] }

package livekit_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
	"github.com/callplane/callplane/services/bridge/internal/captures"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
	"github.com/callplane/callplane/services/bridge/internal/rehearsal"
)

const (
	key     = "key"
	secret  = "a-secret-for-tests-of-32-bytes-or-more"
	session = "0198a3c0-5f00-7000-8000-00000000000a"
)

// sign returns the Authorization that LiveKit would send with a body.
func sign(t testing.TB, key, secret string, body []byte) string {
	t.Helper()
	sum := sha256.Sum256(body)
	token, err := auth.NewAccessToken(key, secret).SetValidFor(5 * time.Minute).SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
	require.NoError(t, err)
	return token
}

func reader() *livekit.WebhookReader {
	return livekit.NewWebhookReader(map[string]config.Secret{key: secret, "other": secret + "-2"})
}

// recorded is a capture as a script: what happened at the server when.
func recorded(t *testing.T, room, name string) []rehearsal.Happening {
	t.Helper()
	var script []rehearsal.Happening
	seen := map[string]bool{}
	for _, r := range captures.Requests(t, name, room, "#default") {
		w, err := reader().Read(r.Body, sign(t, key, secret, r.Body))
		require.NoError(t, err)
		require.Equal(t, room, w.RoomName)
		require.NotNil(t, w.Fact)
		if !seen[w.ID] {
			seen[w.ID] = true
			script = append(script, rehearsal.Happening{At: r.At, Fact: w.Fact})
		}
	}
	return script
}

func said(t *testing.T, log []domain.Event) []string {
	t.Helper()
	lines := []string{}
	for _, e := range log {
		sealed, err := events.Seal(e.ID, session, e.Draft)
		require.NoError(t, err)
		require.NotContains(t, string(sealed.JSON()), captures.FakeTurnPassword)
		lines = append(lines, describe(t, sealed.Envelope()))
	}
	return lines
}

// describe is an event in one line: its type without "call.", who, and why.
func describe(t *testing.T, e events.Envelope) string {
	t.Helper()
	line := strings.TrimPrefix(string(e.Type), "call.")
	switch e.Type {
	case events.CallParticipantJoined:
		p, err := events.DecodePayload[events.CallParticipantJoinedPayload](e)
		require.NoError(t, err)
		line += " " + p.UserID
	case events.CallParticipantLeft:
		p, err := events.DecodePayload[events.CallParticipantLeftPayload](e)
		require.NoError(t, err)
		line += " " + p.UserID + " " + string(p.Reason)
	case events.CallParticipantReconnecting:
		p, err := events.DecodePayload[events.CallParticipantReconnectingPayload](e)
		require.NoError(t, err)
		line += " " + p.UserID + " " + string(p.Reason)
	case events.CallDisconnected:
		p, err := events.DecodePayload[events.CallDisconnectedPayload](e)
		require.NoError(t, err)
		line += " " + string(p.Reason)
	case events.CallTrackPublished:
		p, err := events.DecodePayload[events.CallTrackPublishedPayload](e)
		require.NoError(t, err)
		require.Equal(t, events.TrackAudio, p.Kind)
		require.Equal(t, events.SourceMicrophone, p.Source)
		require.Equal(t, "audio/opus", *p.MimeType)
		line += " " + p.UserID
	default: // The type says it all.
	}
	return line
}

func TestCapturesBecomeCanonicalEvents(t *testing.T) {
	want := map[string][]string{
		"clean": {
			"connecting", "connected", "participant.joined alice", "participant.joined bob", "track.published alice",
			"track.unpublished", "participant.left alice client_initiated", "participant.left bob client_initiated", "disconnected completed",
		},
		"remove": {
			"connecting", "connected", "participant.joined alice", "track.published alice", "participant.joined bob",
			"track.unpublished", "participant.left alice participant_removed", "participant.left bob client_initiated", "disconnected completed",
		},
		"empty": {"connecting"},
		"delete": {
			"connecting", "connected", "participant.joined alice", "track.published alice", "participant.joined bob", "track.published bob",
			"track.unpublished", "participant.left alice room_deleted", "track.unpublished", "participant.left bob room_deleted", "disconnected completed",
		},
		"rejoin": {
			"connecting", "connected", "participant.joined alice", "participant.joined bob", "track.published alice",
			"track.unpublished", "participant.left alice client_initiated", "participant.joined alice", "track.published alice",
			"track.unpublished", "participant.left alice client_initiated", "participant.left bob client_initiated", "disconnected completed",
		},
		"dup": {
			"connecting", "connected", "participant.joined alice", "track.published alice", "track.unpublished", "track.published alice",
			"track.unpublished", "participant.left alice client_initiated", "disconnected completed",
		},
		"kill": {
			"connecting", "connected", "participant.joined alice", "participant.joined bob", "track.published alice",
			"track.unpublished", "participant.reconnecting alice connection_timeout", "participant.left bob client_initiated", "reconnecting",
			"participant.left alice reconnect_timeout", "disconnected completed",
		},
		"simulate": {
			"connecting", "connected", "participant.joined alice", "track.published alice", "participant.joined bob", "track.published bob",
			"track.unpublished", "track.published alice", "track.unpublished", "participant.reconnecting alice server_shutdown",
			"track.unpublished", "participant.left bob client_initiated", "reconnecting", "participant.left alice reconnect_timeout", "disconnected completed",
		},
		"fail500": {
			"connecting", "connected", "participant.joined alice", "track.published alice",
			"track.unpublished", "participant.left alice client_initiated", "disconnected completed",
		},
		"full": {"connecting", "connected", "participant.joined alice", "participant.left alice client_initiated", "disconnected completed"},
		"serverterm": {
			"connecting", "connected", "participant.joined alice", "track.published alice",
			"track.unpublished", "participant.left alice client_initiated", "disconnected completed",
		},
		"stop3": {
			"connecting", "connected", "participant.joined alice", "participant.joined bob", "track.published alice",
			"track.unpublished", "participant.left alice client_initiated", "participant.left bob client_initiated", "disconnected completed",
		},
	}
	require.ElementsMatch(t, telling(t), slices.Collect(maps.Keys(want)))
	for name, lines := range want {
		t.Run(name, func(t *testing.T) {
			script := recorded(t, domain.RoomName(session), name)
			_, log, _ := rehearsal.Play(t, rehearsal.Admitted(t, session), script, rehearsal.Faithful(script))
			require.Equal(t, lines, said(t, log))
		})
	}
}

// telling lists the captures in which anything came.
func telling(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(captures.Names(t), func(name string) bool { return name == "badtoken" })
}

// TestWhatHasBeenToldSaysNothingNew repeats, after each webhook of a call, all that has come so
// far, in any order and with windows open.
func TestWhatHasBeenToldSaysNothingNew(t *testing.T) {
	scripts := map[string][]rehearsal.Happening{}
	for _, name := range telling(t) {
		scripts[name] = recorded(t, domain.RoomName(session), name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		script := scripts[rapid.SampledFrom(telling(t)).Draw(rt, "capture")]
		m := rehearsal.Admitted(t, session)
		for n, h := range script {
			now := domain.Moment{Now: h.At, Policy: rehearsal.Policy}
			m, _ = m.Apply(h.Fact, now)
			told := script[:n+1]
			for _, h := range rapid.Permutation(append(slices.Clone(told), told...)).Draw(rt, "once more, shuffled and doubled") {
				again, result := m.Apply(h.Fact, now)
				require.Empty(rt, result.Events)
				require.Equal(rt, m, again)
			}
		}
	})
}

func TestCapturesInAnyOrder(t *testing.T) {
	scripts := map[string][]rehearsal.Happening{}
	for _, name := range telling(t) {
		scripts[name] = slowed(recorded(t, domain.RoomName(session), name))
	}
	rapid.Check(t, func(rt *rapid.T) {
		script := scripts[rapid.SampledFrom(telling(t)).Draw(rt, "capture")]
		m, _, want := rehearsal.Play(t, rehearsal.Admitted(t, session), script, rehearsal.Faithful(script))
		again := m
		for _, h := range rapid.Permutation(append(slices.Clone(script), script...)).Draw(rt, "once more, shuffled and doubled") {
			var result domain.Result
			again, result = again.Apply(h.Fact, domain.Moment{Now: script[len(script)-1].At.Add(rehearsal.Silence), Policy: rehearsal.Policy})
			require.Empty(rt, result.Events)
		}
		require.Equal(rt, m, again)
		_, _, got := rehearsal.Play(t, rehearsal.Admitted(t, session), script, shuffled(rt, script))
		require.Equal(rt, want, got, "all of it comes doubled, in any order")
	})
}

// slowed has the same happen ten times as slowly, so that listings see each state in between.
func slowed(script []rehearsal.Happening) []rehearsal.Happening {
	slow := slices.Clone(script)
	for n := range slow {
		slow[n].At = script[0].At.Add(10 * script[n].At.Sub(script[0].At))
	}
	return slow
}

// shuffled has each webhook come twice, at the time of any that came at the same time or later.
func shuffled(t *rapid.T, script []rehearsal.Happening) []rehearsal.Delivery {
	var deliveries []rehearsal.Delivery
	for n, h := range script {
		for range 2 {
			at := script[rapid.IntRange(n, len(script)-1).Draw(t, "told at")].At
			deliveries = append(deliveries, rehearsal.Delivery{At: at, Fact: h.Fact})
		}
	}
	return deliveries
}

func TestOnlyGenuineWebhooksAreRead(t *testing.T) {
	body := captures.Bodies(t, "clean", "call-x", "#default")[1]
	altered := []byte(strings.Replace(string(body), "alice", "carol", 1))
	join, err := auth.NewAccessToken(key, secret).SetIdentity("alice").SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: "call-x"}).ToJWT()
	require.NoError(t, err)
	refused := map[string]struct {
		body          []byte
		authorization string
	}{
		"unsigned":                {body, ""},
		"not a token":             {body, "Bearer x"},
		"another secret":          {body, sign(t, key, secret+"!", body)},
		"an unknown key":          {body, sign(t, "stranger", secret, body)},
		"another key's secret":    {body, sign(t, "other", secret, body)},
		"altered":                 {altered, sign(t, key, secret, body)},
		"a participant's token":   {body, join},
		"a secret left empty":     {body, sign(t, "nobody", "x", body)},
		"the signature of nobody": {nil, join},
	}
	for name, tc := range refused {
		t.Run(name, func(t *testing.T) {
			_, err := reader().Read(tc.body, tc.authorization)
			require.ErrorIs(t, err, ports.ErrUnauthentic)
			require.NotContains(t, err.Error(), secret)
		})
	}
	for _, with := range [][2]string{{key, secret}, {"other", secret + "-2"}} {
		w, err := reader().Read(body, sign(t, with[0], with[1], body))
		require.NoError(t, err)
		require.Equal(t, "participant_joined", w.Kind)
		require.IsType(t, domain.ParticipantJoined{}, w.Fact)
	}
}

func TestGenuineWebhooksThatCannotBeRead(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":   `{"event":`,
		"no id":      `{"event":"room_started","room":{"turnPassword":"` + captures.FakeTurnPassword + `"}}`,
		"long id":    `{"event":"room_started","id":"` + strings.Repeat("x", 129) + `"}`,
		"wrong type": `{"event":"room_started","id":"EV_1","room":"` + captures.FakeTurnPassword + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := reader().Read([]byte(body), sign(t, key, secret, []byte(body)))
			require.ErrorIs(t, err, ports.ErrMalformed)
			require.NotContains(t, err.Error(), captures.FakeTurnPassword)
		})
	}
}

func TestOtherKindsSayNothingAboutACall(t *testing.T) {
	for kind, body := range map[string]string{
		"egress_started":    `{"event":"egress_started","id":"EV_1","egressInfo":{"egressId":"EG_1","roomName":"call-x"}}`,
		"ingress_ended":     `{"event":"ingress_ended","id":"EV_1","ingressInfo":{"roomName":"call-x"}}`,
		livekit.UnknownKind: `{"event":"something_new","id":"EV_1","room":{"name":"call-x"},"fieldOfTheFuture":1}`,
	} {
		w, err := reader().Read([]byte(body), sign(t, key, secret, []byte(body)))
		require.NoError(t, err)
		require.Equal(t, ports.Webhook{ID: "EV_1", Kind: kind, RoomName: "call-x"}, w)
	}
}

func TestAnAbortedConnectionIsOneThatEnded(t *testing.T) {
	for given, want := range map[string]events.LeaveReason{
		``:                                    events.LeaveUnknown,
		`,"disconnectReason":"SIGNAL_CLOSE"`:  events.LeaveSignalClose,
		`,"disconnectReason":"JOIN_FAILURE"`:  events.LeaveJoinFailure,
		`,"disconnectReason":"OF_THE_FUTURE"`: events.LeaveUnknown,
		`,"disconnectReason":4711`:            events.LeaveUnknown,
	} {
		body := []byte(`{"event":"participant_connection_aborted","id":"EV_1","createdAt":"1753945200","room":{"name":"call-x","sid":"RM_1"},
			"participant":{"identity":"alice#default","sid":"PA_1"` + given + `}}`)
		w, err := reader().Read(body, sign(t, key, secret, body))
		require.NoError(t, err)
		require.Equal(t, domain.ParticipantLeft{
			Observation: domain.Observation{Room: domain.RoomRef{Name: "call-x", SID: "RM_1"}, At: time.Unix(1753945200, 0).UTC()},
			Connection:  domain.Connection{Identity: "alice#default", SID: "PA_1"}, Reason: want, Aborted: true,
		}, w.Fact, given)
	}
}

func TestOddFactsStayHarmless(t *testing.T) {
	body := []byte(`{"event":"track_published","id":"EV_1","createdAt":"99999999999999","room":{"name":"call-x","sid":"has space"},
		"participant":{"identity":"a","sid":"PA_1"},"track":{"sid":"TR_1","type":99,"source":99,"name":"` + strings.Repeat("n", 999) + `"}}`)
	w, err := reader().Read(body, sign(t, key, secret, body))
	require.NoError(t, err)
	fact := w.Fact.(domain.TrackPublished)
	require.Empty(t, fact.Room.SID)
	require.True(t, fact.At.IsZero())
	require.Equal(t, events.TrackData, fact.Track.Kind)
	require.Equal(t, events.SourceUnknown, fact.Track.Source)
	require.Len(t, fact.Track.Name, events.MaxTrackName)
}

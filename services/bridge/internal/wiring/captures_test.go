//go:build integration

package wiring

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/captures"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// The events by which the recorded calls begin and go on, for lists that are read at once.
const (
	connecting   = events.CallConnecting
	connected    = events.CallConnected
	joined       = events.CallParticipantJoined
	left         = events.CallParticipantLeft
	lost         = events.CallParticipantReconnecting
	published    = events.CallTrackPublished
	unpublished  = events.CallTrackUnpublished
	allLost      = events.CallReconnecting
	disconnected = events.CallDisconnected
)

// recorded is what has to become of each recording.
var recorded = map[string][]events.Type{
	"badtoken": nil, // Whoever is refused is no webhook.
	"clean":    {connecting, connected, joined, joined, published, unpublished, left, left, disconnected},
	"delete":   {connecting, connected, joined, published, joined, published, unpublished, left, unpublished, left, disconnected},
	// One who joins twice has changed connections, which nobody hears of but by their track.
	"dup": {connecting, connected, joined, published, unpublished, published, unpublished, left, disconnected},
	// Nobody came, so that nothing was connected that could be disconnected.
	"empty":   {connecting},
	"fail500": {connecting, connected, joined, published, unpublished, left, disconnected},
	"full":    {connecting, connected, joined, left, disconnected},
	// Alice is lost, Bob hangs up while she is waited for, and she does not come.
	"kill":       {connecting, connected, joined, joined, published, unpublished, lost, left, allLost, left, disconnected},
	"rejoin":     {connecting, connected, joined, joined, published, unpublished, left, joined, published, unpublished, left, left, disconnected},
	"remove":     {connecting, connected, joined, published, joined, unpublished, left, left, disconnected},
	"serverterm": {connecting, connected, joined, published, unpublished, left, disconnected},
	// Alice migrates, which closes her track that LiveKit says nothing of; then the server sends her away, and she does not come back.
	"simulate": {
		connecting, connected, joined, published, joined, published, unpublished, published, unpublished, lost, unpublished, left, allLost,
		left, disconnected,
	},
	"stop3": {connecting, connected, joined, joined, published, unpublished, left, left, disconnected},
}

// TestEveryCaptureOnceAndAgain replays all recordings, each as a session's, and then all of it again: shuffled and doubled as LiveKit
// repeats webhooks, and under new ids, so that nothing but the normalization holds it off.
func TestEveryCaptureOnceAndAgain(t *testing.T) {
	const window = 5 * time.Second                                             // enough for a recording to be told while it is open
	s := start(t, "RECONCILE_INTERVAL=0", "RECONNECT_WINDOW="+window.String()) // LiveKit has no such rooms.
	s.waitReady(`"ok"`)
	sessions, bodies := map[string]string{}, map[string][][]byte{}
	secrets := []string{captures.FakeTurnPassword, s.livekit.APISecret}
	for _, name := range captures.Names(t) {
		sessions[name] = newSession(t)
		bodies[name] = captures.Bodies(t, name, domain.RoomName(sessions[name]), "#default")
		for _, user := range []string{"alice", "bob"} {
			token, err := s.sessions.token(sessions[name], user, events.RoleParticipant)
			require.NoError(t, err)
			secrets = append(secrets, token.Token.Reveal())
		}
	}
	require.Len(t, bodies, len(recorded))
	var again [][]byte
	for name, all := range bodies {
		for _, body := range all {
			s.deliver(body)
			again = append(again, body, body)
		}
		require.Contains(t, recorded, name)
	}
	events := 0
	for name, session := range sessions {
		s.sessions.waitFor(session, recorded[name]...)
		events += len(recorded[name])
	}
	settled := s.state()
	shuffle := func(list [][]byte) {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	receipts := s.count(`SELECT count(*) FROM webhook_receipts`)
	shuffle(again)
	for _, body := range again {
		s.deliver(body)
	}
	require.Equal(t, receipts, s.count(`SELECT count(*) FROM webhook_receipts`))
	require.Equal(t, settled, s.state(), "the same webhooks shuffled and doubled")
	shuffle(again)
	for n, body := range again {
		s.deliver(bytes.Replace(body, []byte(`"EV_`), fmt.Appendf(nil, `"EV_again%d`, n), 1))
	}
	require.EqualValues(t, int(receipts)+len(again), s.count(`SELECT count(*) FROM webhook_receipts`))
	require.Equal(t, settled, s.state(), "the same facts shuffled and doubled")
	s.awaitEmptyOutbox()
	require.EqualValues(t, events, s.count(`SELECT count(*) FROM outbox`))
	for name, session := range sessions {
		s.sessions.waitFor(session, recorded[name]...)
	}
	everywhere := s.log.String() + s.dump() + s.metrics()
	for _, secret := range append(secrets, s.signatures...) {
		require.False(t, strings.Contains(everywhere, secret), "a secret is logged, stored or shown: %.12s…", secret)
	}
}

func (s *service) deliver(body []byte) {
	s.t.Helper()
	status, answer := s.post(body, s.livekit.APISecret)
	require.Equal(s.t, http.StatusOK, status, answer)
}

// state is all that the bridge knows of calls and has to do for them.
func (s *service) state() string {
	s.t.Helper()
	var all []string
	for _, table := range []string{"mappings", "members", "participants", "tracks", "windows", "standings", "room_deletions"} {
		var rows []string
		require.NoError(s.t, s.db.Raw(`SELECT x::text FROM `+table+` x`).Scan(&rows).Error)
		slices.Sort(rows)
		all = append(all, table)
		all = append(all, rows...)
	}
	return strings.Join(all, "\n")
}

func (s *service) awaitEmptyOutbox() {
	s.t.Helper()
	testkit.Eventually(s.t, time.Minute, func(context.Context) error {
		if waiting := s.count(`SELECT count(*) FROM outbox WHERE published_at IS NULL`); waiting > 0 {
			return fmt.Errorf("%d events are not published yet", waiting)
		}
		return nil
	})
}

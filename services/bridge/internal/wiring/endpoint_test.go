//go:build integration

package wiring

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/captures"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// TestKeysAreRotatedWithoutLosingWebhooks has webhooks come that are signed with the key of before and with the new one, as they do while a
// LiveKit cluster is given another key.
func TestKeysAreRotatedWithoutLosingWebhooks(t *testing.T) {
	before := strings.Repeat("b", 32)
	s := start(t, "RECONCILE_INTERVAL=0", "LIVEKIT_WEBHOOK_KEYS=before: "+before)
	s.waitReady(`"ok"`)
	session := newSession(t)
	for _, user := range []string{"alice", "bob"} {
		_, err := s.sessions.token(session, user, events.RoleParticipant)
		require.NoError(t, err)
	}
	const mediaType = "application/webhook+json"
	keys := []struct{ key, secret string }{{"before", before}, {s.livekit.APIKey, s.livekit.APISecret}}
	bodies := captures.Bodies(t, "clean", domain.RoomName(session), "#default")
	for n, body := range bodies {
		with := keys[n*len(keys)/len(bodies)]
		status, answer := s.send(body, mediaType, signature(t, body, with.key, with.secret, 5*time.Minute))
		require.Equal(t, http.StatusOK, status, answer)
	}
	s.sessions.waitFor(session, recorded["clean"]...)

	again := captures.Bodies(t, "stop3", domain.RoomName(session), "#default")[0]
	for name, refused := range map[string]struct {
		mediaType, authorization string
		status                   int
	}{
		"the other's secret": {mediaType, signature(t, again, "before", s.livekit.APISecret, time.Minute), http.StatusUnauthorized},
		"a key of nobody":    {mediaType, signature(t, again, "after", before, time.Minute), http.StatusUnauthorized},
		"expired":            {mediaType, signature(t, again, "before", before, -5*time.Minute), http.StatusUnauthorized},
		"another body's":     {mediaType, signature(t, bodies[0], "before", before, time.Minute), http.StatusUnauthorized},
		"not JSON":           {"text/plain", signature(t, again, "before", before, time.Minute), http.StatusUnsupportedMediaType},
	} {
		status, answer := s.send(again, refused.mediaType, refused.authorization)
		require.Equal(t, refused.status, status, "%s: %s", name, answer)
	}
	require.EqualValues(t, len(bodies), s.count(`SELECT count(*) FROM webhook_receipts`))
	require.Contains(t, s.metrics(), `bridge_webhooks_refused_total{reason="signature"} 4`)
}

// TestRoomsKeepTheirOrderSideBySide has many rooms told of at once, each webhook twice at the same time.
func TestRoomsKeepTheirOrderSideBySide(t *testing.T) {
	const rooms, rejoins = 24, 3
	s := start(t, "RECONCILE_INTERVAL=0")
	s.waitReady(`"ok"`)
	from := newSender(t, strings.TrimPrefix(s.url(""), "http://"), s.livekit.APIKey, s.livekit.APISecret)
	from.copies = 2
	recorded, calls := templates(t), map[string][][]webhook{}
	for range rooms {
		session := newSession(t)
		for _, user := range []string{"alice", "bob"} {
			_, err := s.sessions.token(session, user, events.RoleParticipant)
			require.NoError(t, err)
		}
		calls[session] = bursts(t, recorded, session, time.Now(), rejoins)
	}
	var running sync.WaitGroup
	for _, call := range calls {
		running.Go(func() { from.room(t.Context(), call, func(int) time.Time { return time.Now() }) })
	}
	running.Wait()
	want := callEvents(rejoins)
	for session := range calls {
		s.sessions.waitFor(session, want...)
	}
	s.awaitEmptyOutbox()
	require.EqualValues(t, rooms*len(want), s.count(`SELECT count(*) FROM outbox`))
	require.EqualValues(t, rooms*(rejoins+2)*burst, s.count(`SELECT count(*) FROM webhook_receipts`))
	repeated := 0
	for line := range strings.Lines(s.metrics()) {
		var n int
		if strings.HasPrefix(line, "bridge_webhooks_total") && strings.Contains(line, `outcome="repeated"`) {
			_, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n)
			require.NoError(t, err)
			repeated += n
		}
	}
	require.Equal(t, rooms*(rejoins+2)*burst, repeated, "one of both has no effect")
}

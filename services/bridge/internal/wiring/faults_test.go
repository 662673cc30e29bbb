//go:build integration

package wiring

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/utils/protojson"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// TestPostgresCutAnywhereInAWebhook breaks the connection before every single message of the transaction, and in the middle of each that the
// server is sent, those of the commit among them: what was asked and never came, and what was done and never told. LiveKit's repeat has the
// effect, once.
func TestPostgresCutAnywhereInAWebhook(t *testing.T) {
	s := &service{t: t, port: testkit.FreePort(t), log: &buffer{}, vhost: testkit.Rabbit(t).Vhost(t)}
	url, ownerURL := testkit.Postgres(t).Database(t, Service, nil)
	s.open(ownerURL)
	proxy, by := testkit.ProxyPostgres(t, url)
	s.sessions = newSessions(t, s.vhost)
	s.run("DATABASE_URL="+by, "MIGRATE_DATABASE_URL="+ownerURL, "AMQP_URL="+s.vhost.URL(topology.UserBridge), "RECONCILE_INTERVAL=0")
	s.waitReady(`"livekit"`)
	join := func(id string) (string, []byte) {
		session := newSession(t)
		_, err := s.sessions.token(session, "alice", events.RoleHost)
		require.NoError(t, err)
		body, err := protojson.Marshal(&livekit.WebhookEvent{
			Event: "participant_joined", Id: id, CreatedAt: time.Now().Unix(),
			Room:        &livekit.Room{Name: domain.RoomName(session), Sid: "RM_1", CreationTimeMs: time.Now().UnixMilli()},
			Participant: &livekit.ParticipantInfo{Sid: "PA_1", Identity: "alice#default", JoinedAtMs: time.Now().UnixMilli()},
		})
		require.NoError(t, err)
		return session, body
	}
	_, warm := join("EV_warm") // so that the statements of what follows are prepared
	s.deliver(warm)
	_, whole := join("EV_nobody-cuts")
	followed := proxy.Follow("EV_nobody-cuts")
	s.deliver(whole)
	messages := <-followed
	require.Equal(t, "to the server: begin", messages[0])
	require.Contains(t, messages, "to the server: commit")
	require.Equal(t, 2, count(messages, "to the client: Z"), "one round trip to read and one to write: %v", messages)

	broken := 0
	for at, message := range messages {
		breaks := []func(marker string, at int) *testkit.PGFault{proxy.Cut}
		if strings.HasPrefix(message, "to the server") { // Half of an answer says no more than none.
			breaks = append(breaks, proxy.Tear)
		}
		for how, breakAt := range breaks {
			id := fmt.Sprintf("EV_%d-%03d", how, at)
			session, body := join(id)
			fault := breakAt(id, at)
			status, answer := s.post(body, s.livekit.APISecret)
			select {
			case was := <-fault.Hit():
				require.Equal(t, message, was)
				broken++
			default:
				require.Fail(t, "nothing was broken", "%d %d %s: %s", how, at, message, answer)
			}
			if status != http.StatusOK { // Where nothing was begun yet, the driver itself tries another connection.
				require.Equal(t, http.StatusServiceUnavailable, status, answer)
				s.deliver(body)
			}
			s.sessions.waitFor(session, connecting, connected, joined)
			require.EqualValues(t, 1, s.count(`SELECT count(*) FROM webhook_receipts WHERE webhook_id = ?`, id))
			require.EqualValues(t, 3, s.count(`SELECT count(*) FROM outbox WHERE partition_key = ?`, session))
			s.awaitNoTransaction()
		}
	}
	t.Logf("broke %d times, at each of %v", broken, messages)
}

func count(messages []string, wanted string) int {
	return len(slices.DeleteFunc(slices.Clone(messages), func(m string) bool { return m != wanted }))
}

// awaitNoTransaction waits until no attempt that was cut is left over at the database.
func (s *service) awaitNoTransaction() {
	s.t.Helper()
	testkit.Eventually(s.t, time.Minute, func(context.Context) error {
		left := s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
			AND (state LIKE 'idle in transaction%' OR wait_event_type = 'Lock')`)
		if left > 0 {
			return fmt.Errorf("%d transactions are left over", left)
		}
		return nil
	})
}

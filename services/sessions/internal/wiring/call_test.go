//go:build integration

package wiring

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

func TestACallFromStartToEnd(t *testing.T) {
	vhost := testkit.Rabbit(t).Vhost(t)
	service := run(t, append(databases(t), "AMQP_URL="+vhost.URL("sessions"))...)
	service.ready(http.StatusOK, "ok")
	require.Contains(t, service.log.String(), `"postgres_version"`)
	require.Contains(t, service.log.String(), "AUTH_MODE=dev")
	require.Contains(t, service.log.String(), `"go_version"`)

	status, session, _ := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{"members":[{"userId":"bob","role":"viewer"}]}`)
	require.Equal(t, http.StatusCreated, status, session)
	id := session["sessionId"].(string)
	path := "/v1/call/sessions/" + id

	asked := time.Now()
	status, answer, header := service.request(http.MethodPost, path+"/token", "bob", `{}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "provider_unavailable", answer["code"], "no bridge runs")
	require.NotEmpty(t, header.Get("Retry-After"))
	require.Less(t, time.Since(asked), 2500*time.Millisecond)

	bridge := startBridge(t, vhost)
	testkit.Eventually(t, 15*time.Second, func(context.Context) error {
		// A bridge takes commands a moment after it is connected.
		if status, answer, _ = service.request(http.MethodPost, path+"/token", "bob", `{"ttlSeconds":60}`); status != http.StatusOK {
			return fmt.Errorf("the token is %d %v", status, answer)
		}
		return nil
	})
	require.Equal(t, "a-token-for-bob", answer["token"])

	room := events.ProviderRoom{Provider: "livekit", RoomName: "call-" + id, RoomSID: "RM_1"}
	bob := events.ProviderParticipant{Identity: "bob#default", UserID: "bob", ParticipantSID: "PA_1"}
	bridge.publish(id, events.CallConnectedPayload{ProviderRoom: room, ProviderParticipant: bob})
	bridge.publish(id, events.CallParticipantJoinedPayload{ProviderRoom: room, ProviderParticipant: bob, JoinedAt: events.At(time.Now())})
	service.eventually(path, func(s map[string]any) bool { return s["status"] == "active" && len(s["participants"].([]any)) == 1 })
	bridge.publish(id, events.CallDisconnectedPayload{ProviderRoom: room, Reason: events.DisconnectCompleted})
	service.eventually(path, func(s map[string]any) bool { return s["status"] == "ended" && s["providerCallId"] == "RM_1" })

	status, page, _ := service.request(http.MethodGet, path+"/events", "bob", "")
	require.Equal(t, http.StatusOK, status)
	types := []string{}
	for _, item := range page["items"].([]any) {
		types = append(types, item.(map[string]any)["type"].(string))
	}
	require.Equal(t, []string{"call.created", "call.connected", "call.participant.joined", "call.disconnected", "call.ended"}, types)

	service.stop()
	require.Zero(t, service.exit())
	require.NotContains(t, service.log.String(), "a-token-for-bob")
	require.NotContains(t, service.log.String(), `"level":"ERROR"`)
}

func (r *running) eventually(path string, holds func(session map[string]any) bool) {
	r.t.Helper()
	testkit.Eventually(r.t, 15*time.Second, func(context.Context) error {
		_, session, _ := r.request(http.MethodGet, path, "alice", "")
		if !holds(session) {
			return fmt.Errorf("the session is %v", session)
		}
		return nil
	})
}

func TestGoesOnWithoutABroker(t *testing.T) {
	service := run(t, migrated(t)...)
	service.ready(http.StatusOK, "degraded")
	status, session, _ := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{}`)
	require.Equal(t, http.StatusCreated, status, session)
	path := "/v1/call/sessions/" + session["sessionId"].(string)
	status, _, _ = service.request(http.MethodGet, path, "alice", "")
	require.Equal(t, http.StatusOK, status)
	status, answer, _ := service.request(http.MethodPost, path+"/token", "alice", `{}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "provider_unavailable", answer["code"])
	service.stop()
	require.Zero(t, service.exit())
}

func TestWaitsForPostgres(t *testing.T) {
	service := run(t)
	service.ready(http.StatusServiceUnavailable, "unavailable")
	status, _, _ := service.request(http.MethodGet, "/livez", "", "")
	require.Equal(t, http.StatusOK, status)
	status, answer, header := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "unavailable", answer["code"])
	require.NotEmpty(t, header.Get("Retry-After"))
	service.stop()
	require.Zero(t, service.exit())
	require.NotContains(t, service.log.String(), "secret")
}

func TestIsToldToStopWhileItStarts(t *testing.T) {
	settings, err := config.Load[Settings](environment("HTTP_ADDR="+freeAddress(t), "ADMIN_ADDR="+freeAddress(t)))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	log := &output{}
	status, err := Serve(ctx, settings, Build{Version: "test", Output: log})
	require.NoError(t, err)
	require.Zero(t, status)
	require.NotContains(t, log.String(), `"ERROR"`)
}

func TestRefusesAnotherNumberOfPartitions(t *testing.T) {
	vhost := testkit.Rabbit(t).Vhost(t)
	startBridge(t, vhost)
	service := run(t, append(migrated(t), "AMQP_URL="+vhost.URL("sessions"), "EVENT_PARTITIONS=4")...)
	require.Equal(t, 1, service.exit())
	require.Contains(t, service.log.String(), "EVENT_PARTITIONS")
}

func TestReadinessGoesFirstWhenItStops(t *testing.T) {
	service := run(t, append(migrated(t), "SHUTDOWN_DELAY=2s")...)
	service.ready(http.StatusOK, "degraded")
	service.stop()
	service.ready(http.StatusServiceUnavailable, "draining")
	status, _, _ := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{}`)
	require.Equal(t, http.StatusCreated, status, "it serves on meanwhile")
	require.Zero(t, service.exit())
}

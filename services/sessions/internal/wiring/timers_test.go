//go:build integration

package wiring

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/libs/testkit"
)

// TestDeadlinesOfTwoReplicas starts two replicas on one database: nobody's call is given up while the bridge is away or says that somebody
// is there, and each session that nobody joins fails once.
func TestDeadlinesOfTwoReplicas(t *testing.T) {
	vhost := testkit.Rabbit(t).Vhost(t)
	environ := append(migrated(t), "AMQP_URL="+vhost.URL("sessions"), "ACTIVATION_TIMEOUT=2s")
	one, two := run(t, environ...), run(t, environ...)
	one.ready(http.StatusOK, "ok")
	two.ready(http.StatusOK, "ok")
	create := func(body string) string {
		status, session, _ := one.request(http.MethodPost, "/v1/call/sessions", "alice", body)
		require.Equal(t, http.StatusCreated, status, session)
		return "/v1/call/sessions/" + session["sessionId"].(string)
	}
	livekit, pstn := create(`{}`), create(`{"provider":"pstn"}`)
	failed := func(s map[string]any) bool {
		return s["status"] == "failed" && s["error"].(map[string]any)["code"] == "activation_timeout"
	}
	one.eventually(pstn, failed)
	require.Eventually(t, func() bool {
		return strings.Count(one.log.String()+two.log.String(), "waits on") > 0
	}, 30*time.Second, 20*time.Millisecond, "no bridge: it waits")
	_, session, _ := two.request(http.MethodGet, livekit, "alice", "")
	require.Equal(t, "created", session["status"])

	bridge := startBridge(t, vhost)
	bridge.show(commands.CallPresenceShown{Connected: true})
	require.Eventually(t, func() bool {
		return strings.Count(one.log.String()+two.log.String(), "somebody is connected") > 0
	}, 60*time.Second, 20*time.Millisecond)
	_, session, _ = two.request(http.MethodGet, livekit, "alice", "")
	require.Equal(t, "created", session["status"])

	bridge.show(commands.CallPresenceShown{})
	fresh := create(`{}`)
	all := []string{pstn, fresh, livekit}
	for _, path := range all {
		require.Eventually(t, func() bool {
			_, session, _ := two.request(http.MethodGet, path, "alice", "")
			return failed(session)
		}, time.Minute, 50*time.Millisecond, path)
	}
	for _, path := range all {
		_, page, _ := two.request(http.MethodGet, path+"/events", "alice", "")
		require.Len(t, page["items"], 2, "created and failed, once")
	}
	require.Equal(t, len(all), strings.Count(one.log.String()+two.log.String(), "nobody joined it in time"))
}

func TestOldSessionsGo(t *testing.T) {
	vhost := testkit.Rabbit(t).Vhost(t)
	service := run(t, append(migrated(t), "AMQP_URL="+vhost.URL("sessions"), "SESSION_RETENTION=1s")...)
	service.ready(http.StatusOK, "ok")
	_, live, _ := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{}`)
	_, over, _ := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{}`)
	path := "/v1/call/sessions/" + over["sessionId"].(string)
	status, _, _ := service.request(http.MethodPatch, path, "alice", `{"status":"ended"}`)
	require.Equal(t, http.StatusOK, status)
	require.Eventually(t, func() bool {
		status, _, _ := service.request(http.MethodGet, path, "alice", "")
		return status == http.StatusNotFound
	}, 30*time.Second, 50*time.Millisecond)
	status, _, _ = service.request(http.MethodGet, "/v1/call/sessions/"+live["sessionId"].(string), "alice", "")
	require.Equal(t, http.StatusOK, status)
}

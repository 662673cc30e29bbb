//go:build integration

package wiring

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/openapi/conformance"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi/apitest"
)

// TestAttack sends the whole service, on Postgres and the broker, what the OpenAPI document describes and what it does not. It runs for longer
// with -rapid.checks=10000, say.
func TestAttack(t *testing.T) {
	document, err := conformance.Load()
	require.NoError(t, err)
	vhost := testkit.Rabbit(t).Vhost(t)
	service := run(t, append(migrated(t), "AMQP_URL="+vhost.URL("sessions"))...)
	service.ready(http.StatusOK, "ok")
	startBridge(t, vhost)
	_, session, _ := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{}`)
	testkit.Eventually(t, 15*time.Second, func(context.Context) error {
		// A bridge takes commands a moment after it is connected.
		path := fmt.Sprintf("/v1/call/sessions/%s/token", session["sessionId"])
		if status, answer, _ := service.request(http.MethodPost, path, "alice", `{}`); status != http.StatusOK {
			return fmt.Errorf("the token is %d %v", status, answer)
		}
		return nil
	})
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	rapid.Check(t, func(rt *rapid.T) {
		apitest.Attack(rt, document, 20, func(made *http.Request) (*http.Response, []byte) { return service.transmit(rt, client, made) })
	})
	require.NotContains(t, service.log.String(), `"level":"ERROR"`)
	require.NotContains(t, service.log.String(), "panic")
}

// transmit makes a request over the wire; nil where HTTP has no such request. What was sent stays in made.
func (r *running) transmit(t *rapid.T, client *http.Client, made *http.Request) (*http.Response, []byte) {
	body, err := io.ReadAll(made.Body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(made.Context(), made.Method, r.base+made.RequestURI, bytes.NewReader(body))
	if err != nil {
		return nil, nil
	}
	request.Header = made.Header.Clone()
	request.Header.Del("Expect") // Go's server itself refuses what it can't fulfil: 417, before any handler is asked.
	response, err := client.Do(request)
	if err != nil {
		return nil, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if made.Context().Err() == nil {
		require.NoError(t, err)
	}
	return response, text
}

package httpserverfx_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/httpserver/httpserverfx"
	"github.com/callplane/callplane/libs/telemetry"
	"github.com/callplane/callplane/libs/telemetry/telemetryfx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, address, path string) (int, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestApplicationServesAndDrains(t *testing.T) {
	var log bytes.Buffer
	var servers httpserverfx.Servers
	var closed atomic.Bool
	app := fxtest.New(t,
		fx.Supply(
			telemetryfx.Config{Service: "test", Version: "v1", LogFormat: telemetry.FormatJSON, LogLevel: "info", Output: &log},
			httpserverfx.Config{Addr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", ShutdownDelay: 300 * time.Millisecond, Engine: httpserver.Options{Service: "test"}},
		),
		telemetryfx.Module, telemetryfx.LogEvents, httpserverfx.Module,
		fx.Invoke(func(engine *gin.Engine, lifecycle fx.Lifecycle) {
			engine.GET("/thing", func(c *gin.Context) {
				if closed.Load() {
					c.Status(http.StatusInternalServerError)
					return
				}
				c.String(http.StatusOK, "thing")
			})
			lifecycle.Append(fx.StopHook(func() { closed.Store(true) }))
		}),
		fx.Invoke(httpserverfx.Serve),
		fx.Populate(&servers),
	)
	app.RequireStart()
	public, admin := servers.Public.Addr(), servers.Admin.Addr()
	status, body, err := get(t, public, "/thing")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "thing", body)
	_, body, err = get(t, admin, "/metrics")
	require.NoError(t, err)
	assert.Contains(t, body, `http_server_request_duration_seconds_count{method="GET",route="/thing",status="200"} 1`)

	stopped := make(chan error, 1)
	go func() { stopped <- app.Stop(context.Background()) }()
	require.Eventually(t, func() bool {
		status, _, err := get(t, public, "/readyz")
		return err == nil && status == http.StatusServiceUnavailable
	}, 5*time.Second, time.Millisecond, "not ready, and still there")
	status, _, err = get(t, public, "/thing")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status, "it serves on during the delay, and what handlers use is stopped after the servers")
	require.NoError(t, <-stopped)
	_, _, err = get(t, public, "/thing")
	require.Error(t, err)
	assert.True(t, closed.Load())
}

func TestAddressInUseFailsTheStart(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	app := fx.New(
		fx.Supply(
			telemetryfx.Config{Service: "test", LogFormat: telemetry.FormatText, LogLevel: "error", Output: io.Discard},
			httpserverfx.Config{Addr: listener.Addr().String(), AdminAddr: "127.0.0.1:0"},
		),
		telemetryfx.Module, telemetryfx.LogEvents, httpserverfx.Module, fx.Invoke(httpserverfx.Serve),
	)
	require.NoError(t, app.Err())
	require.ErrorContains(t, app.Start(t.Context()), "set another address")
	require.NoError(t, app.Stop(context.Background()))
}

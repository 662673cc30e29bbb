package httpserver_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/telemetry"
)

func start(t *testing.T, options httpserver.ServerOptions) *httpserver.Server {
	t.Helper()
	options.Name, options.Addr = "test", "127.0.0.1:0"
	server := httpserver.NewServer(options)
	require.NoError(t, server.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	return server
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestShutdownFinishesWhatIsInHand(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	server := start(t, httpserver.ServerOptions{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "whole")
	})})
	answer := make(chan string, 1)
	go func() {
		_, body := get(t, "http://"+server.Addr())
		answer <- body
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- server.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", server.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 5*time.Second, 5*time.Millisecond, "no new connections")
	close(release)
	assert.Equal(t, "whole", <-answer)
	require.NoError(t, <-stopped)
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	entered := make(chan struct{})
	server := start(t, httpserver.ServerOptions{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})})
	failed := make(chan error, 1)
	go func() {
		request, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+server.Addr(), nil)
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		failed <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, server.Shutdown(ctx), context.DeadlineExceeded)
	require.Error(t, <-failed)
}

func TestSlowAndLargeRequestsAreCut(t *testing.T) {
	server := start(t, httpserver.ServerOptions{
		Handler: http.NotFoundHandler(), ReadHeaderTimeout: 50 * time.Millisecond, MaxHeaderBytes: 1 << 10,
	})
	conn, err := net.Dial("tcp", server.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "the server hangs up on a client that doesn't finish its headers")

	large, err := net.Dial("tcp", server.Addr())
	require.NoError(t, err)
	defer func() { _ = large.Close() }()
	_, _ = io.WriteString(large, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 16<<10)+"\r\n\r\n")
	require.NoError(t, large.SetReadDeadline(time.Now().Add(5*time.Second)))
	status, err := bufio.NewReader(large).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, status, "431")
}

func TestSlowBodyIsAProblem(t *testing.T) {
	s := newSetup(t, nil)
	server := start(t, httpserver.ServerOptions{Handler: s.engine, ReadTimeout: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", server.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Contains(t, string(body), "did not arrive in time")
}

func TestAddressInUseFailsTheStart(t *testing.T) {
	server := start(t, httpserver.ServerOptions{Handler: http.NotFoundHandler()})
	second := httpserver.NewServer(httpserver.ServerOptions{Name: "second", Addr: server.Addr(), Handler: http.NotFoundHandler()})
	require.ErrorContains(t, second.Start(t.Context()), "set another address")
	require.NoError(t, second.Shutdown(t.Context()))
}

func TestAdminServesMetricsAndProfiles(t *testing.T) {
	registry := telemetry.NewRegistry("test", "v1.2.3")
	admin := httpserver.NewAdmin("127.0.0.1:0", registry, nil)
	require.NoError(t, admin.Start(t.Context()))
	defer func() { require.NoError(t, admin.Shutdown(context.Background())) }()
	status, body := get(t, "http://"+admin.Addr()+"/metrics")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `callplane_build_info{`)
	assert.Contains(t, body, `version="v1.2.3"`)
	assert.Contains(t, body, "go_goroutines")
	status, body = get(t, "http://"+admin.Addr()+"/debug/pprof/goroutine?debug=1")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "goroutine profile")
}

func TestHealthcheckCommandAsksReadyz(t *testing.T) {
	health := httpserver.NewHealth(newDiscard())
	engine := httpserver.NewEngine(httpserver.Options{})
	health.Mount(engine)
	server := start(t, httpserver.ServerOptions{Handler: engine})
	_, port, err := net.SplitHostPort(server.Addr())
	require.NoError(t, err)
	require.NoError(t, httpserver.HealthcheckCommand(":"+port))
	require.NoError(t, httpserver.HealthcheckCommand("0.0.0.0:"+port))
	health.Drain()
	require.ErrorContains(t, httpserver.HealthcheckCommand(":"+port), "draining")
	require.NoError(t, server.Shutdown(t.Context()))
	require.Error(t, httpserver.HealthcheckCommand(":"+port))
	require.Error(t, httpserver.HealthcheckCommand("nonsense"))
}

func TestEngineSetsNoModeThatPrints(t *testing.T) {
	httpserver.NewEngine(httpserver.Options{})
	assert.Equal(t, gin.ReleaseMode, gin.Mode())
}

func newDiscard() *slog.Logger { return slog.New(slog.DiscardHandler) }

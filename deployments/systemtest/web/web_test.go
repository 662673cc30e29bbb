//go:build integration

// Package web has people use the call page in a real browser, against the whole stack.
package web

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// browsersTake is how long all tests in the browser may take, on a machine that has much else to do.
const browsersTake = 8 * time.Minute

func TestMain(m *testing.M) { testkit.Main(m) }

// TestBrowsers serves the page as it is built, from two origins of which the service knows one, and runs the tests of deployments/web.
func TestBrowsers(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	require.NoError(t, err, "the call page is tried in Chromium; scripts/chromium installs it")
	script := filepath.Join(testkit.Root(), "scripts", "web")
	output, err := exec.CommandContext(t.Context(), script, "build").CombinedOutput()
	require.NoError(t, err, string(output))

	s := stack.Prepare(t, testkit.OwnRabbit(t))
	page, other := serve(t, s), serve(t, s)
	s.SetSessions(t, map[string]string{"CORS_ALLOWED_ORIGINS": page.URL})
	s.Start(t)
	s.AwaitReady(t)
	restarts := restarter{asked: make(chan chan struct{})}
	control := httptest.NewServer(restarts)
	t.Cleanup(control.Close)

	ctx := testkit.Context(t, browsersTake)
	cmd := exec.CommandContext(ctx, script, "browsers")
	cmd.Env = append(os.Environ(), "PAGE_URL="+page.URL, "OTHER_ORIGIN_URL="+other.URL, "API_URL="+s.API.Base(), "CONTROL_URL="+control.URL,
		"CHROMIUM="+chromium, "ARTIFACTS="+filepath.Join(testkit.Root(), ".run", "browsers"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		output, err = cmd.CombinedOutput()
	}()
	restarts.serve(t, s, ended)
	t.Log(string(output))
	require.NoError(t, err)
}

// serve serves the page as its container does.
func serve(t *testing.T, s *stack.Stack) *httptest.Server {
	t.Helper()
	files := http.FileServer(http.Dir(filepath.Join(testkit.Root(), "deployments", "web", "dist")))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"apiUrl": %q}`, s.API.Base()) // Whoever asks may be gone.
	})
	mux.Handle("GET /", files)
	server := httptest.NewUnstartedServer(mux)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)))
	require.NoError(t, err)
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// restarter kills both services and the broker when it is asked to, starts them again, and answers when they are ready. What it needs of a
// test may only be used by the goroutine of the test, so requests are handed over to it.
type restarter struct{ asked chan chan struct{} }

func (r restarter) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	done := make(chan struct{})
	select {
	case r.asked <- done:
		<-done
		w.WriteHeader(http.StatusNoContent)
	case <-request.Context().Done():
	}
}

// serve restarts when it is asked to, until ended.
func (r restarter) serve(t *testing.T, s *stack.Stack, ended <-chan struct{}) {
	t.Helper()
	for {
		select {
		case done := <-r.asked:
			s.Vhost.Broker.Kill(t)
			s.Sessions.Kill(t)
			s.Bridge.Kill(t)
			s.Vhost.Broker.Start(t)
			s.Start(t)
			s.AwaitReady(t)
			close(done)
		case <-ended:
			return
		}
	}
}

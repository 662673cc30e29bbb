//go:build integration

// Package web has people use the call page in a real browser, against the whole stack.
package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// browsersTake is how long all tests in the browser may take, on a machine that has much else to do.
const browsersTake = 12 * time.Minute

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
	s.SetSessions(t, map[string]string{"CORS_ALLOWED_ORIGINS": page})
	s.Start(t)
	s.AwaitReady(t)
	restarts := restarter{asked: make(chan chan struct{})}
	mux := http.NewServeMux()
	mux.Handle("POST /restart", restarts)
	cuttable := ""
	net, reason := newNetwork(t)
	if net != nil {
		mux.Handle("POST /offline", net)
		mux.Handle("POST /online", net)
		cuttable = net.browser(t, chromium)
	} else {
		require.Empty(t, os.Getenv("CI"), reason)
	}
	control := httptest.NewServer(mux)
	t.Cleanup(control.Close)

	ctx := testkit.Context(t, browsersTake)
	cmd := exec.CommandContext(ctx, script, append([]string{"browsers"}, strings.Fields(os.Getenv("BROWSER_TESTS"))...)...)
	cmd.Env = append(os.Environ(), "PAGE_URL="+page, "OTHER_ORIGIN_URL="+other, "API_URL="+s.API.Base(), "CONTROL_URL="+control.URL,
		"CHROMIUM="+chromium, "CUTTABLE_CHROMIUM="+cuttable, "NOT_CUTTABLE="+reason, "ARTIFACTS="+filepath.Join(testkit.Root(), ".run", "browsers"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		output, err = cmd.CombinedOutput()
	}()
	restarts.serve(t, s, ended)
	t.Log(string(output))
	require.NoError(t, err)
}

// serve serves the page as its container does, but for where the service is.
func serve(t *testing.T, s *stack.Stack) string {
	t.Helper()
	config := fmt.Sprintf(`{"apiUrl": %q}`, s.API.Base())
	return testkit.Nginx(t, "deployments/web/nginx.conf", "deployments/web/dist", map[string]string{"config.json": config})
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

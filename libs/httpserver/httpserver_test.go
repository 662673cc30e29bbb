package httpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/libs/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type setup struct {
	engine   *gin.Engine
	log      *bytes.Buffer
	registry *prometheus.Registry
}

func newSetup(t *testing.T, change func(*httpserver.Options)) setup {
	t.Helper()
	s := setup{log: &bytes.Buffer{}, registry: prometheus.NewRegistry()}
	log, err := telemetry.NewLogger(s.log, telemetry.FormatJSON, "debug", "test")
	require.NoError(t, err)
	options := httpserver.Options{Service: "test", Log: log, Registerer: s.registry, MaxBody: 16}
	if change != nil {
		change(&options)
	}
	s.engine = httpserver.NewEngine(options)
	s.engine.POST("/echo/:id", func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		if p, ok := httpserver.BodyProblem(err); ok {
			httpserver.Fail(c, p, err)
			return
		}
		c.String(http.StatusOK, c.Param("id")+":"+string(body))
	})
	return s
}

func (s setup) do(t *testing.T, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	s.engine.ServeHTTP(recorder, request)
	return recorder
}

// lastLine returns the access log's last line.
func (s setup) lastLine(t *testing.T) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &line))
	return line
}

func requireProblem(t *testing.T, response *httptest.ResponseRecorder, status int, code string) problem.Problem {
	t.Helper()
	require.Equal(t, status, response.Code)
	require.Equal(t, problem.ContentType, response.Header().Get("Content-Type"))
	var p problem.Problem
	require.NoError(t, json.Unmarshal(response.Body.Bytes(), &p))
	assert.Equal(t, code, p.Code)
	assert.Equal(t, status, p.Status)
	assert.Equal(t, problem.TypeURI(code), p.Type)
	assert.NotEmpty(t, p.Title)
	assert.Equal(t, response.Header().Get(httpserver.RequestIDHeader), p.RequestID)
	assert.NotEmpty(t, p.RequestID)
	return p
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	s := newSetup(t, nil)
	requireProblem(t, s.do(t, http.MethodGet, "/nowhere", ""), http.StatusNotFound, "not_found")
	requireProblem(t, s.do(t, http.MethodPost, "/echo/a/", ""), http.StatusNotFound, "not_found")
	response := s.do(t, http.MethodDelete, "/echo/a", "")
	p := requireProblem(t, response, http.StatusMethodNotAllowed, "method_not_allowed")
	assert.Equal(t, "POST", response.Header().Get("Allow"))
	assert.Equal(t, "/echo/a", p.Instance)
	for path, status := range map[string]int{"/nowhere": http.StatusNotFound, "/echo/a": http.StatusMethodNotAllowed} {
		response := s.do(t, http.MethodHead, path, "")
		assert.Equal(t, status, response.Code)
		assert.Equal(t, problem.ContentType, response.Header().Get("Content-Type"))
		assert.Empty(t, response.Body.String())
	}
}

func TestRequestIDIsTakenWhereItIsHarmless(t *testing.T) {
	s := newSetup(t, nil)
	for id, taken := range map[string]bool{
		"abc-1.2_3": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
		"": false, "two words": false, "a\"b": false, "ä": false,
	} {
		got := s.do(t, http.MethodPost, "/echo/a", "", httpserver.RequestIDHeader, id).Header().Get(httpserver.RequestIDHeader)
		assert.NotEmpty(t, got)
		assert.Equal(t, taken, got == id, "%q came back as %q", id, got)
	}
}

func TestPathParametersMayHoldASlash(t *testing.T) {
	s := newSetup(t, nil)
	assert.Equal(t, "a/b:x", s.do(t, http.MethodPost, "/echo/a%2Fb", "x").Body.String())
}

func TestBodyIsBounded(t *testing.T) {
	s := newSetup(t, nil)
	assert.Equal(t, "a:0123456789abcdef", s.do(t, http.MethodPost, "/echo/a", "0123456789abcdef").Body.String())
	requireProblem(t, s.do(t, http.MethodPost, "/echo/a", "0123456789abcdefg"), http.StatusRequestEntityTooLarge, "payload_too_large")

	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/echo/a", io.MultiReader(strings.NewReader(strings.Repeat("x", 17))))
	request.ContentLength = -1
	recorder := httptest.NewRecorder()
	s.engine.ServeHTTP(recorder, request)
	requireProblem(t, recorder, http.StatusRequestEntityTooLarge, "payload_too_large")

	s.engine.POST("/large", httpserver.MaxBody(64), func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		assert.NoError(t, err)
		c.String(http.StatusOK, "%d", len(body))
	})
	assert.Equal(t, "40", s.do(t, http.MethodPost, "/large", strings.Repeat("x", 40)).Body.String(), "a route's limit takes the engine's place")
}

func TestPanicIsAProblemAndLoggedWithItsStack(t *testing.T) {
	s := newSetup(t, nil)
	s.engine.GET("/panic", func(*gin.Context) { panic("secret of the code") })
	p := requireProblem(t, s.do(t, http.MethodGet, "/panic", ""), http.StatusInternalServerError, "internal")
	assert.NotContains(t, p.Detail, "secret of the code")
	assert.Contains(t, s.log.String(), "httpserver_test.go")
	assert.Equal(t, "panic: secret of the code", s.lastLine(t)["error"])
	assert.EqualValues(t, http.StatusInternalServerError, s.lastLine(t)["status"])
}

func TestPanicAfterTheAnswerBeganCutsIt(t *testing.T) {
	s := newSetup(t, nil)
	s.engine.GET("/half", func(c *gin.Context) {
		c.String(http.StatusOK, "half")
		panic("late")
	})
	server := httptest.NewServer(s.engine)
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/half", nil)
	require.NoError(t, err)
	response, err := server.Client().Do(request)
	if err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	require.Error(t, err, "the client must not take it for a whole answer")
}

func TestHandlerThatRunsOutOfTimeAnswers503(t *testing.T) {
	s := newSetup(t, func(o *httpserver.Options) { o.HandlerTimeout = time.Millisecond })
	wait := func(c *gin.Context) {
		select {
		case <-c.Request.Context().Done():
		case <-time.After(50 * time.Millisecond):
			c.String(http.StatusOK, "no deadline")
		}
	}
	s.engine.GET("/slow", wait)
	p := requireProblem(t, s.do(t, http.MethodGet, "/slow", ""), http.StatusServiceUnavailable, "unavailable")
	assert.True(t, p.Retryable)
}

func TestAccessLogTellsTheCauseAndNoQuery(t *testing.T) {
	s := newSetup(t, nil)
	s.engine.GET("/fail/:id", func(c *gin.Context) { httpserver.Fail(c, problem.Internal, errors.New("disk is full")) })
	response := s.do(t, http.MethodGet, "/fail/1?token=hunter2", "", "Authorization", "Bearer hunter3", "X-Forwarded-For", "9.9.9.9")
	assert.NotContains(t, response.Body.String(), "disk")
	line := s.lastLine(t)
	assert.Equal(t, "disk is full", line["error"])
	assert.Equal(t, "ERROR", line["level"])
	assert.Equal(t, "/fail/:id", line["route"])
	assert.Equal(t, "/fail/1", line["path"])
	assert.Equal(t, "192.0.2.1", line["client"], "nobody is trusted to say for whom it forwards")
	assert.Equal(t, response.Header().Get(httpserver.RequestIDHeader), line["request_id"])
	assert.NotContains(t, s.log.String(), "hunter")
}

func TestTrustedProxiesNameTheClient(t *testing.T) {
	s := newSetup(t, func(o *httpserver.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	s.do(t, http.MethodPost, "/echo/a", "", "X-Forwarded-For", "9.9.9.9")
	assert.Equal(t, "9.9.9.9", s.lastLine(t)["client"])
}

func TestTraceIDIsInProblemAndLog(t *testing.T) {
	provider := sdktrace.NewTracerProvider()
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	s := newSetup(t, nil)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	response := s.do(t, http.MethodGet, "/nowhere", "", "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	assert.Equal(t, trace, requireProblem(t, response, http.StatusNotFound, "not_found").TraceID)
	assert.Equal(t, trace, s.lastLine(t)["trace_id"])
}

func TestMetricsAreByRoute(t *testing.T) {
	s := newSetup(t, nil)
	s.do(t, http.MethodPost, "/echo/1", "")
	s.do(t, http.MethodPost, "/echo/2", "")
	s.do(t, "BREW", "/pot", "")
	families, err := s.registry.Gather()
	require.NoError(t, err)
	seen := map[string]uint64{}
	for _, family := range families {
		if family.GetName() == "http_server_active_requests" {
			assert.Zero(t, family.GetMetric()[0].GetGauge().GetValue())
		}
		if family.GetName() != "http_server_request_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			name := ""
			for _, label := range metric.GetLabel() {
				name += label.GetName() + "=" + label.GetValue() + " "
			}
			seen[strings.TrimSpace(name)] = metric.GetHistogram().GetSampleCount()
		}
	}
	assert.Equal(t, map[string]uint64{"method=POST route=/echo/:id status=200": 2, "method=other route=none status=404": 1}, seen)
}

func TestHealth(t *testing.T) {
	var output bytes.Buffer
	health := httpserver.NewHealth(slog.New(slog.NewTextHandler(&output, nil)))
	engine := httpserver.NewEngine(httpserver.Options{})
	health.Mount(engine)
	var database, broker error
	health.Require("postgres", func(context.Context) error { return database })
	health.Degrade("rabbitmq", func(context.Context) error { return broker })
	get := func(path string) (int, httpserver.Report) {
		recorder := httptest.NewRecorder()
		engine.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		var report httpserver.Report
		require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &report))
		return recorder.Code, report
	}
	expect := func(status int, report httpserver.Report) {
		t.Helper()
		gotStatus, got := get("/readyz")
		assert.Equal(t, status, gotStatus)
		assert.Equal(t, report, got)
	}
	expect(http.StatusOK, httpserver.Report{Status: "ok"})
	broker = errors.New("away")
	expect(http.StatusOK, httpserver.Report{Status: "degraded", Degraded: []string{"rabbitmq"}})
	expect(http.StatusOK, httpserver.Report{Status: "degraded", Degraded: []string{"rabbitmq"}})
	assert.Equal(t, 1, strings.Count(output.String(), "health check fails"), "a change is logged once")
	database = errors.New("away too")
	expect(http.StatusServiceUnavailable, httpserver.Report{Status: "unavailable", Degraded: []string{"rabbitmq"}, Unavailable: []string{"postgres"}})
	database, broker = nil, nil
	expect(http.StatusOK, httpserver.Report{Status: "ok"})
	health.Drain()
	expect(http.StatusServiceUnavailable, httpserver.Report{Status: "draining"})
	status, report := get("/livez")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "ok", report.Status)
}

package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

const userEvents = "/v1/call/events"

// serving is the API behind a real server, whose hub runs.
type serving struct {
	*bundle
	server *httpserver.Server
	client *http.Client
}

func serveStreams(t *testing.T, change ...func(*httpapi.API, *httpserver.Options)) *serving {
	t.Helper()
	s := &serving{bundle: setupWith(t, memory.NewStore(), change...), client: &http.Client{Transport: &http.Transport{}}}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.hub.Run(ctx) })
	s.server = httpserver.NewServer(httpserver.ServerOptions{Addr: "127.0.0.1:0", Handler: s.engine})
	s.server.OnShutdown(s.hub.Drain)
	require.NoError(t, s.server.Start(t.Context()))
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		require.NoError(t, s.server.Shutdown(context.Background()))
		stop()
		running.Wait()
	})
	return s
}

// eventStream is a client's side of a stream.
type eventStream struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
}

func (s *serving) stream(path, user string, header map[string]string) *eventStream {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.server.Addr()+path, nil)
	require.NoError(s.t, err)
	request.Header.Set("X-User-Id", user)
	request.Header.Set("Accept", "text/event-stream")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return &eventStream{s.t, response, bufio.NewScanner(response.Body)}
}

// next returns the fields of the next event; nil at the stream's end, which is in order.
func (e *eventStream) next() map[string]string {
	e.t.Helper()
	fields := e.read()
	if fields == nil {
		require.NoError(e.t, e.lines.Err(), "it ends in order")
	}
	return fields
}

// read returns the fields of the next event that came whole; nil at the stream's end, whatever ended it.
func (e *eventStream) read() map[string]string {
	e.t.Helper()
	fields := map[string]string{}
	for e.lines.Scan() {
		switch name, value, _ := strings.Cut(e.lines.Text(), ": "); {
		case name == "" && len(fields) > 0:
			return fields
		case name != "" && name != ":":
			require.NotContains(e.t, fields, name)
			fields[name] = value
		}
	}
	return nil
}

func (e *eventStream) event(want events.Type) events.Envelope {
	e.t.Helper()
	fields := e.next()
	require.Equal(e.t, string(want), fields["event"])
	var envelope events.Envelope
	require.NoError(e.t, json.Unmarshal([]byte(fields["data"]), &envelope))
	require.Equal(e.t, want, envelope.Type)
	return envelope
}

func (s *serving) patch(path, body string) {
	s.t.Helper()
	s.do(call{http.MethodPatch, path, "alice", body, nil}).ok(http.StatusOK)
}

func TestASessionIsReplayedAndThenFollowed(t *testing.T) {
	s := serveStreams(t)
	path := s.session("")
	stream := s.stream(path+"/events", "bob", nil)
	require.Equal(t, http.StatusOK, stream.response.StatusCode)
	for name, value := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no",
	} {
		require.Equal(t, value, stream.response.Header.Get(name))
	}
	require.NotEmpty(t, stream.response.Header.Get("X-Request-Id"))
	created := stream.next()
	require.Equal(t, "call.created", created["event"])
	page := s.do(call{http.MethodGet, path + "/events", "bob", "", nil}).ok(http.StatusOK)
	require.Equal(t, page.body["lastEventId"], created["id"])
	item, err := json.Marshal(page.body["items"].([]any)[0])
	require.NoError(t, err)
	require.JSONEq(t, string(item), created["data"], "the same envelope as in a page")
	s.patch(path, `{"title":"one"}`)
	require.Equal(t, s.stream(path+"/events?types=call.updated", "bob", nil).next(), stream.next())
	s.do(call{http.MethodDelete, path + "/members/bob", "alice", "", nil})
	stream.event(events.CallMemberRemoved)
	require.Nil(t, stream.next(), "it ends with their removal")
}

func TestAWatermarkIsTakenFromTheHeaderFirst(t *testing.T) {
	s := serveStreams(t)
	path := s.session("")
	first := s.stream(path+"/events", "bob", nil).next()["id"]
	s.patch(path, `{"title":"one"}`)
	second := s.stream(path+"/events?after="+strings.ToUpper(first), "bob", nil).next()["id"]
	s.patch(path, `{"title":"two"}`)
	require.NotEqual(t, second, s.stream(path+"/events?after="+first, "bob", map[string]string{"Last-Event-ID": second}).next()["id"])
	require.Equal(t, second, s.stream(path+"/events?after="+first, "bob", map[string]string{"Last-Event-ID": ""}).next()["id"], "it says nothing")
	accept := map[string]string{"Accept": "text/event-stream"}
	gone := s.do(call{http.MethodGet, path + "/events?after=" + portstest.NewID(t), "bob", "", accept}).problem(http.StatusGone, "watermark_gone")
	require.Equal(t, first, gone.body["earliestEventId"])
	s.do(call{http.MethodGet, path + "/events?after=x", "bob", "", accept}).problem(http.StatusBadRequest, "invalid_request")
	accept["Last-Event-ID"] = "x"
	bad := s.do(call{http.MethodGet, path + "/events", "bob", "", accept}).problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{"Last-Event-ID": domain.FaultFormat}, bad.faults())
	s.do(call{http.MethodGet, path + "/events", "mallory", "", map[string]string{"Accept": "text/event-stream"}}).
		problem(http.StatusNotFound, "session_not_found")
}

func TestOnlyWhoAsksForAStreamGetsOne(t *testing.T) {
	s := serveStreams(t)
	path := s.session("") + "/events"
	for accept, stream := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/event-stream": true, "text/event-stream;q=0": false, "text/*": false,
		"application/json, text/event-stream;q=0.5": false, "text/event-stream, */*;q=0.1": true, "TEXT/Event-Stream": true,
	} {
		got := s.stream(path, "bob", map[string]string{"Accept": accept})
		require.Equal(t, stream, got.response.Header.Get("Content-Type") == "text/event-stream", accept)
		require.Contains(t, got.response.Header.Values("Vary"), "Accept")
		require.NoError(t, got.response.Body.Close())
	}
	for _, target := range []string{path, userEvents} {
		require.Equal(t, http.StatusMethodNotAllowed, statusOf(s.engine, newRequest(t, http.MethodHead, target, "bob")), "HEAD is no stream")
	}
	require.Equal(t, http.StatusMethodNotAllowed, statusOf(s.engine, newRequest(t, http.MethodPost, userEvents, "bob")))
}

func TestAUserFollowsAllOfTheirSessions(t *testing.T) {
	s := serveStreams(t)
	stream := s.stream(userEvents, "bob", map[string]string{"Accept": "*/*"})
	ready := stream.next()
	require.Equal(t, "ready", ready["event"])
	require.Equal(t, "{}", ready["data"])
	path := s.session("")
	require.Equal(t, path, "/v1/call/sessions/"+stream.event(events.CallCreated).SessionID, "an incoming call")
	s.patch(path, `{"status":"ended"}`)
	stream.event(events.CallUpdated)
	stream.event(events.CallEnded)
	again := s.stream(userEvents+"?after=nonsense", "bob", map[string]string{"Last-Event-ID": ready["id"]})
	again.event(events.CallCreated)
	s.do(call{http.MethodGet, userEvents + "?after=nonsense", "bob", "", nil}).problem(http.StatusBadRequest, "invalid_cursor")
	s.do(call{http.MethodGet, userEvents + "?after=", "bob", "", nil}).problem(http.StatusBadRequest, "invalid_request")
	s.do(call{http.MethodGet, userEvents, "", "", nil}).problem(http.StatusUnauthorized, "unauthenticated")
}

func TestTheEleventhStreamIsRefused(t *testing.T) {
	s := serveStreams(t)
	for range 10 {
		require.Equal(t, http.StatusOK, s.stream(userEvents, "bob", nil).response.StatusCode)
	}
	refused := s.do(call{http.MethodGet, userEvents, "bob", "", nil}).problem(http.StatusTooManyRequests, "rate_limited")
	require.NotEmpty(t, refused.header.Get("Retry-After"))
}

func TestAStoppingReplicaSaysWhenToComeBack(t *testing.T) {
	s := serveStreams(t)
	stream := s.stream(userEvents, "bob", nil)
	stream.next()
	s.hub.Drain()
	last := stream.next()
	require.Regexp(t, `^[0-9]{3,4}$`, last["retry"])
	require.Nil(t, stream.next())
	s.do(call{http.MethodGet, userEvents, "bob", "", nil}).problem(http.StatusServiceUnavailable, "unavailable")
}

// expiring shows a token that is good for a moment.
type expiring struct{}

func (expiring) Authenticate(*http.Request) (domain.Principal, error) {
	return domain.Principal{UserID: "bob", ExpiresAt: portstest.Start.Add(200 * time.Millisecond)}, nil
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	s := serveStreams(t, func(a *httpapi.API, _ *httpserver.Options) { a.Auth = expiring{} })
	stream := s.stream(userEvents, "bob", nil)
	require.Equal(t, "ready", stream.next()["event"])
	require.Nil(t, stream.next())
}

// TestAClientThatGoesFreesItsPlace: the end of its connection is noticed at once.
func TestAClientThatGoesFreesItsPlace(t *testing.T) {
	s := serveStreams(t)
	for range 10 {
		conn, err := net.Dial("tcp", s.server.Addr())
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET "+userEvents+" HTTP/1.1\r\nHost: test\r\nX-User-Id: bob\r\n\r\n")
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 16))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool {
		return s.stream(userEvents, "bob", nil).response.StatusCode == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond)
}

func statusOf(handler http.Handler, request *http.Request) int {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Code
}

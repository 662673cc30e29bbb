package httpapi_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/openapi/conformance"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is an API on a store in memory.
type bundle struct {
	t        *testing.T
	engine   *gin.Engine
	store    wholeStore
	clock    *memory.Clock
	tokens   *memory.Tokens
	counters *memory.Counters
	log      *logged
	hub      *live.Hub
}

// logged is what was logged; streams do so when nobody waits for them.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all of it.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupWith(t, memory.NewStore())
}

// wholeStore is all that the API keeps.
type wholeStore interface {
	ports.SessionStore
	ports.IdempotencyStore
	ports.CursorKeys
	ports.Checkpoints
	ports.Journal
	Follow(added func(ports.Appended))
}

// setupWith is setup on another store; change may give the API and its engine something else.
func setupWith(t *testing.T, store wholeStore, change ...func(*httpapi.API, *httpserver.Options)) *bundle {
	t.Helper()
	b := &bundle{
		t: t, store: store, clock: memory.NewClock(portstest.Start), tokens: &memory.Tokens{}, counters: &memory.Counters{}, log: &logged{},
	}
	options := httpserver.Options{
		Service: "sessions", Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})), HandlerTimeout: 5 * time.Second,
	}
	ready := make(chan struct{})
	close(ready)
	b.hub = live.NewHub(store, slog.New(slog.DiscardHandler))
	store.Follow(b.hub.Publish)
	api := httpapi.API{
		Create: app.CreateSession{Store: store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters, Keys: store},
		Get:    app.GetSession{Store: store},
		List:   app.ListSessions{Store: store, Cursors: store, Journal: store},
		Update: app.UpdateSession{Store: store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters},
		Token:  app.IssueToken{Store: store, Tokens: b.tokens, Clock: b.clock},
		Events: app.ListEvents{Store: store},

		SetMember:    app.SetMember{Store: store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters},
		RemoveMember: app.RemoveMember{Store: store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters},

		PostEvent:         app.PostEvent{Store: store, Clock: b.clock, IDs: memory.IDs{}, Keys: store, Counters: b.counters},
		AdvanceCheckpoint: app.AdvanceCheckpoint{Checkpoints: store},
		GetCheckpoint:     app.GetCheckpoint{Checkpoints: store},

		FollowSession: live.FollowSession{Hub: b.hub, Journal: store, Clock: b.clock},
		FollowUser:    live.FollowUser{Hub: b.hub, Journal: store, Cursors: app.EventCursors{Keys: store}, Clock: b.clock},

		Auth:  httpapi.DevAuth{},
		Ready: ready,
	}
	for _, c := range change {
		c(&api, &options)
	}
	b.engine = httpserver.NewEngine(options)
	api.Mount(b.engine)
	return b
}

// call is a request to make.
type call struct {
	method, path, user, body string
	header                   map[string]string
}

// reply is what came back.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	text   []byte
	body   map[string]any
}

// do makes the request and holds the answer to the OpenAPI document.
func (b *bundle) do(c call) reply {
	b.t.Helper()
	request := httptest.NewRequestWithContext(b.t.Context(), c.method, c.path, strings.NewReader(c.body))
	if c.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.user != "" {
		request.Header.Set("X-User-Id", c.user)
	}
	for name, value := range c.header {
		if value == "" {
			request.Header.Del(name)
		} else {
			request.Header.Set(name, value)
		}
	}
	response, text := exchange(b.t, b.engine, request, c.body)
	r := reply{t: b.t, status: response.StatusCode, header: response.Header, text: text}
	if r.status != http.StatusNoContent {
		require.NoError(b.t, json.Unmarshal(text, &r.body), "%s", text)
	}
	require.NotEmpty(b.t, r.header.Get("X-Request-Id"))
	return r
}

// exchange makes a request, whose body is sent, and fails the test where the document does not describe the answer, or where it does not
// describe the request and that was not refused.
func exchange(t *testing.T, engine *gin.Engine, request *http.Request, sent string) (*http.Response, []byte) {
	t.Helper()
	recorder := httptest.NewRecorder()
	engine.ServeHTTP(recorder, request)
	response := recorder.Result()
	document, err := conformance.Load()
	assert.NoError(t, err)
	text := recorder.Body.Bytes()
	assert.NoError(t, document.Check(conformance.Exchange{Request: request, RequestBody: []byte(sent), Response: response, Body: text}))
	return response, text
}

// problem holds an answer to be one.
func (r reply) problem(status int, code string) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.text)
	require.Equal(r.t, "application/problem+json", r.header.Get("Content-Type"))
	require.Equal(r.t, code, r.body["code"], "%s", r.text)
	require.Equal(r.t, r.header.Get("X-Request-Id"), r.body["requestId"])
	return r
}

// ok holds an answer to be a success.
func (r reply) ok(status int) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, "%s", r.text)
	require.Equal(r.t, "no-store", r.header.Get("Cache-Control"))
	return r
}

// faults returns the pointers and codes of errors[].
func (r reply) faults() map[string]string {
	r.t.Helper()
	list, _ := r.body["errors"].([]any)
	found := map[string]string{}
	for _, entry := range list {
		fault, _ := entry.(map[string]any)
		pointer, _ := fault["pointer"].(string)
		code, _ := fault["code"].(string)
		found[pointer] = code
	}
	return found
}

// session creates one of alice, with bob as participant and carol as viewer, and returns its path.
func (b *bundle) session(more string) string {
	b.t.Helper()
	r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"members":[{"userId":"bob","role":"participant"},{"userId":"carol","role":"viewer"}]` + more + `}`, nil}).ok(http.StatusCreated)
	return r.header.Get("Location")
}

// fact lets the provider's side report something of the session at path, and returns the event's id.
func (b *bundle) fact(path string, payload func(id, user string) events.Payload, user string) string {
	b.t.Helper()
	id := strings.TrimPrefix(path, "/v1/call/sessions/")
	apply := app.ApplyEvent{Store: b.store, Clock: b.clock, IDs: memory.IDs{}, Counters: b.counters}
	fact := portstest.Fact(b.t, id, portstest.NewID(b.t), payload(id, user))
	require.NoError(b.t, apply.Do(b.t.Context(), fact))
	return fact.EventID
}

// newRequest is one without a body.
func newRequest(t *testing.T, method, path, user string) *http.Request {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	request.Header.Set("X-User-Id", user)
	return request
}

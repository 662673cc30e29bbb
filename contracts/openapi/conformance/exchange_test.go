package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/openapi/conformance"
)

const (
	sessions = "/v1/call/sessions"
	member   = `{"userId":"bob","role":"viewer"}`
	problem  = `{"type":"https://callplane.dev/problems/CODE","title":"x","status":STATUS,"code":"CODE","retryable":false,"requestId":"r"}`
)

func refusal(status, code string) string {
	return strings.NewReplacer("STATUS", status, "CODE", code).Replace(problem)
}

// exchange is one that the document describes, unless something of it is changed.
type exchange struct {
	method, path, sent string
	request            map[string]string
	status             int
	answer             map[string]string
	body               string
}

func put() exchange {
	return exchange{
		method: http.MethodPut, path: sessions + "/x/members/bob", sent: `{"role":"viewer"}`,
		request: map[string]string{"Content-Type": "application/json", "X-User-Id": "alice"},
		status:  http.StatusCreated, body: member,
		answer: map[string]string{"Content-Type": "application/json; charset=utf-8", "X-Request-Id": "r", "Cache-Control": "no-store"},
	}
}

func (e exchange) check(t *testing.T) error {
	t.Helper()
	document, err := conformance.Load()
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), e.method, e.path, nil)
	for name, value := range e.request {
		request.Header.Set(name, value)
	}
	response := &http.Response{StatusCode: e.status, Header: http.Header{}}
	for name, value := range e.answer {
		response.Header.Set(name, value)
	}
	return document.Check(conformance.Exchange{Request: request, RequestBody: []byte(e.sent), Response: response, Body: []byte(e.body)})
}

func (e exchange) refused(status int, code string) exchange {
	e.status, e.body = status, refusal(strconv.Itoa(status), code)
	e.answer = map[string]string{
		"Content-Type": "application/problem+json", "X-Request-Id": "r", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Allow": "GET",
	}
	if status != http.StatusMethodNotAllowed && status != http.StatusNotFound {
		delete(e.answer, "Allow")
	}
	return e
}

func TestWhatIsDescribedPasses(t *testing.T) {
	require.NoError(t, put().check(t))
	bad := put().refused(http.StatusBadRequest, "invalid_json")
	bad.sent = "{"
	require.NoError(t, bad.check(t), "what is refused may be anything")

	unknown := put().refused(http.StatusNotFound, "not_found")
	unknown.path = "/nowhere"
	require.NoError(t, unknown.check(t))
	wrong := put().refused(http.StatusMethodNotAllowed, "method_not_allowed")
	wrong.method = "BREW"
	require.NoError(t, wrong.check(t))
	wrong.method, wrong.path, wrong.body = http.MethodHead, sessions, ""
	require.NoError(t, wrong.check(t))

	live := exchange{
		method: http.MethodHead, path: "/livez", status: http.StatusOK,
		answer: map[string]string{"Content-Type": "application/json", "X-Request-Id": "r", "Cache-Control": "no-store"},
	}
	require.NoError(t, live.check(t))
}

func TestWhatIsNotDescribedIsFound(t *testing.T) {
	for name, change := range map[string]func(*exchange){
		"a status":                      func(e *exchange) { e.status = http.StatusAccepted },
		"a status of another operation": func(e *exchange) { *e = e.refused(http.StatusGone, "watermark_gone") },
		"a code of another status":      func(e *exchange) { *e = e.refused(http.StatusBadRequest, "not_found") },
		"a code that there is not":      func(e *exchange) { *e = e.refused(http.StatusBadRequest, "nonsense") },
		"a body":                        func(e *exchange) { e.body = `{"userId":"bob","role":"king"}` },
		"a field":                       func(e *exchange) { e.body = `{"userId":"bob","role":"viewer","x":1}` },
		"no body":                       func(e *exchange) { e.body = `` },
		"a header":                      func(e *exchange) { e.answer["X-Powered-By"] = "x" },
		"a header's value":              func(e *exchange) { e.answer["Cache-Control"] = "public" },
		"no header":                     func(e *exchange) { delete(e.answer, "X-Request-Id") },
		"a media type":                  func(e *exchange) { e.answer["Content-Type"] = "text/plain" },
		"a request's body":              func(e *exchange) { e.sent = `{"role":"king"}` },
		"a request's field":             func(e *exchange) { e.sent = `{"role":"viewer","x":1}` },
		"no request's body":             func(e *exchange) { e.sent = `` },
		"a request's media type":        func(e *exchange) { e.request["Content-Type"] = "text/plain" },
		"nobody's request":              func(e *exchange) { delete(e.request, "X-User-Id") },
		"an unknown path":               func(e *exchange) { e.path = "/nowhere" },
		"an unknown path with its code": func(e *exchange) { *e = e.refused(http.StatusBadRequest, "not_found"); e.path = "/nowhere" },
		"a method":                      func(e *exchange) { e.method = http.MethodPost },
		"a method with no Allow": func(e *exchange) {
			*e = e.refused(405, "method_not_allowed")
			e.method = "BREW"
			delete(e.answer, "Allow")
		},
		"a method that there is refused": func(e *exchange) { *e = e.refused(405, "method_not_allowed") },
	} {
		t.Run(name, func(t *testing.T) {
			e := put()
			change(&e)
			assert.Error(t, e.check(t))
		})
	}
}

func TestParameters(t *testing.T) {
	page := func(query string) error {
		return exchange{
			method: http.MethodGet, path: sessions + "/x/events" + query, request: map[string]string{"X-User-Id": "alice"}, status: http.StatusOK,
			answer: put().answer, body: `{"items":[],"lastEventId":"019ab1c2-5e01-7a11-9b2c-000000000001","hasMore":false}`,
		}.check(t)
	}
	for _, right := range []string{"", "?limit=1", "?limit=200&types=call.created,call.ended", "?other=1"} {
		require.NoError(t, page(right), right)
	}
	for _, wrong := range []string{"?limit=0", "?limit=201", "?limit=x", "?limit=1.5", "?limit=1&limit=1", "?types=call.created,x", "?types=", "?after=x", "?limit=%zz"} {
		require.Error(t, page(wrong), wrong)
	}
}

func TestADocumentMustBeOne(t *testing.T) {
	_, err := conformance.Parse([]byte(`{`))
	require.Error(t, err)
	_, err = conformance.Parse([]byte(`{"paths":{"/x":{"get":{"parameters":[{"name":"a","in":"query","schema":{"type":"nonsense"}}]}}}}`))
	require.Error(t, err)
}

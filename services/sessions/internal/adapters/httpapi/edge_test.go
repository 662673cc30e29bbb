package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// endpoint is one that takes a body.
type endpoint struct{ method, path string }

func endpoints(path string) []endpoint {
	return []endpoint{
		{http.MethodPost, "/v1/call/sessions"}, {http.MethodPatch, path}, {http.MethodPost, path + "/token"}, {http.MethodPut, path + "/members/dave"},
	}
}

// badBodies are wrong everywhere, with the code of the problem.
var badBodies = map[string]struct {
	body string
	code string
}{
	"nothing but space":     {" ", "invalid_json"},
	"cut off":               {`{"metadata":{"a":`, "invalid_json"},
	"trailing data":         {`{}{}`, "invalid_json"},
	"a trailing comma":      {`{"x":1,}`, "invalid_json"},
	"a comment":             {`{/* x */}`, "invalid_json"},
	"single quotes":         {`{'x':1}`, "invalid_json"},
	"NaN":                   {`{"x":NaN}`, "invalid_json"},
	"Infinity":              {`{"x":-Infinity}`, "invalid_json"},
	"a leading zero":        {`{"x":01}`, "invalid_json"},
	"a byte order mark":     {"\ufeff{}", "invalid_json"},
	"UTF-16":                {"\xff\xfe{\x00}\x00", "invalid_json"},
	"duplicate keys":        {`{"a":1,"a":1}`, "invalid_json"},
	"duplicate keys inside": {`{"a":[{"b":1,"b":1}]}`, "invalid_json"},
	"escaped duplicates":    {`{"a":1,"\u0061":1}`, "invalid_json"},
	"invalid UTF-8":         {"{\"a\":\"\xc3\x28\"}", "invalid_json"},
	"invalid UTF-8 in name": {"{\"\xff\":1}", "invalid_json"},
	"overlong UTF-8":        {"{\"a\":\"\xc0\x80\"}", "invalid_json"},
	"half a surrogate pair": {`{"a":"\udc00"}`, "invalid_json"},
	"NUL":                   {`{"a":"x\u0000y"}`, "invalid_json"},
	"NUL in a name":         {`{"a\u0000":1}`, "invalid_json"},
	"a raw NUL":             {"{\"a\":\"\x00\"}", "invalid_json"},
	"a control character":   {"{\"a\":\"\n\"}", "invalid_json"},
	"arrays without end":    {strings.Repeat(`[`, 60_000), "invalid_json"},
	"deep nesting":          {`{"a":` + strings.Repeat(`[`, 30_000) + strings.Repeat(`]`, 30_000) + `}`, "invalid_json"},
	"an array":              {`[]`, "invalid_request"},
	"a string":              {`"{}"`, "invalid_request"},
	"a number":              {`1e999999`, "invalid_request"},
	"null":                  {`null`, "invalid_request"},
	"an unknown field":      {`{"nonsense":1}`, "invalid_request"},
	"an empty name":         {`{"":1}`, "invalid_request"},
	"another case":          {`{"Title":"x","TTLSeconds":60,"Role":"viewer"}`, "invalid_request"},
	"a prototype":           {`{"__proto__":{"admin":true}}`, "invalid_request"},
}

// wrongTypes gives each field of each endpoint every value that it can't have.
var wrongTypes = map[string]map[string][]string{
	"create": {
		"ownerId": {`1`, `{}`, `[]`, `true`, `null`, `""`}, "kind": {`1`, `{}`, `[]`, `null`, `""`}, "provider": {`1`, `{}`, `null`, `""`}, "title": {`""`, `1`, `[]`, `{}`, `false`},
		"metadata": {`1`, `[]`, `"x"`, `null`, `true`}, "members": {`1`, `{}`, `"x"`, `null`, `[1]`, `[null]`, `[[]]`, `[{}]`, `[{"userId":1,"role":2}]`},
	},
	"patch": {
		"status": {`1`, `null`, `{}`, `"over"`}, "endReason": {`1`, `null`, `[]`}, "title": {`1`, `{}`, `[]`}, "metadata": {`1`, `[]`, `"x"`},
		"provider": {`1`, `null`}, "providerRoomId": {`1`, `null`}, "providerParticipantId": {`{}`, `null`}, "providerCallId": {`[]`, `null`},
	},
	"token": {
		"ttlSeconds":  {`"60"`, `60.5`, `0`, `-1`, `29`, `3601`, `1e300`, `1e999999`, `-1e999999`, `9007199254740993`, strings.Repeat("9", 60_000), `null`, `true`, `[]`},
		"deviceId":    {`1`, `null`, `""`, `"a b"`, `"` + strings.Repeat("x", 65) + `"`},
		"displayName": {`1`, `null`, `""`, `"` + strings.Repeat("x", 10_000) + `"`},
	},
	"member": {"role": {`1`, `null`, `""`, `"king"`, `[]`, `{"role":"host"}`}},
}

// quiet holds the log to have nothing that an operator would be woken up for.
func (b *bundle) quiet() {
	b.t.Helper()
	require.NotContains(b.t, b.log.String(), "level=ERROR")
	require.NotContains(b.t, b.log.String(), "level=WARN")
}

func TestBadBodies(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for _, e := range endpoints(path) {
		for name, bad := range badBodies {
			t.Run(e.method+" "+name, func(t *testing.T) {
				bb := *b
				bb.t = t
				bb.do(call{e.method, e.path, "alice", bad.body, nil}).problem(http.StatusBadRequest, bad.code)
			})
		}
		b.do(call{e.method, e.path, "alice", `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, nil}).problem(http.StatusRequestEntityTooLarge, "payload_too_large")
		for _, media := range []string{"", "text/plain", "application/json; charset=latin1", "application/jsonp", "application/json, text/plain", "json", "\xff", "*/*", "multipart/form-data"} {
			b.do(call{e.method, e.path, "alice", `{}`, map[string]string{"Content-Type": media}}).problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
		}
	}
	require.Equal(t, `"1"`, b.do(call{http.MethodGet, path, "alice", "", nil}).ok(http.StatusOK).header.Get("ETag"), "nothing has happened")
	b.quiet()
}

func TestWrongTypes(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for i, name := range []string{"create", "patch", "token", "member"} {
		e := endpoints(path)[i]
		for field, values := range wrongTypes[name] {
			for _, value := range values {
				r := b.do(call{e.method, e.path, "alice", `{"` + field + `":` + value + `}`, nil}).problem(http.StatusBadRequest, "invalid_request")
				for pointer := range r.faults() {
					require.True(t, strings.HasPrefix(pointer, "/"+field), "%s %.80s: %s", field, value, r.text)
				}
				require.NotEmpty(t, r.faults())
			}
		}
	}
	b.quiet()
}

// TestTypesAndRulesAreToldAtOnce: wrong types, unknown fields and what breaks a rule, in one answer.
func TestTypesAndRulesAreToldAtOnce(t *testing.T) {
	b := setup(t)
	path := b.session("")
	long := strings.Repeat("x", 300)
	for i, test := range []struct {
		body string
		want map[string]string
	}{
		{
			`{"kind":"hologram","provider":7,"title":"` + long + `","metadata":[],"x/y":1,"members":[{"userId":"a b","role":"king"},{"userId":3,"role":"viewer"},4]}`,
			map[string]string{
				"/kind": "invalid_value", "/provider": "invalid_type", "/title": "too_long", "/metadata": "invalid_type", "/x~1y": "unknown_field",
				"/members/0/userId": "invalid_format", "/members/0/role": "invalid_value", "/members/1/userId": "invalid_type", "/members/2": "invalid_type",
			},
		},
		{
			`{"status":"over","endReason":"","title":1,"providerRoomId":"a b","nonsense":null}`,
			map[string]string{
				"/status": "invalid_value", "/title": "invalid_type", "/providerRoomId": "invalid_format", "/nonsense": "unknown_field",
			},
		},
		{`{"ttlSeconds":"60","deviceId":"a b","displayName":"` + long + `"}`, map[string]string{
			"/ttlSeconds": "invalid_type", "/deviceId": "invalid_format", "/displayName": "too_long",
		}},
	} {
		e := endpoints(path)[i]
		found := b.do(call{e.method, e.path, "alice", test.body, nil}).problem(http.StatusBadRequest, "invalid_request").faults()
		delete(found, "/endReason") // empty, and without an end: two faults of one field
		require.Equal(t, test.want, found)
	}
}

func TestNumbersInMetadata(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for _, number := range []string{
		`0`, `-0`, `0e5`, `0.0E-400`, `1E+300`, `1.7e308`, `5e-324`, `12345678901234567890`, `0.1000000000000000055511151231257827`, `0.` + strings.Repeat("1", 62),
	} {
		r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{"metadata":{"n":` + number + `}}`, nil}).ok(http.StatusCreated)
		require.Contains(t, string(r.text), `"metadata":{"n":`+number+`}`, "as it was given")
	}
	for _, number := range []string{`1e309`, `-1e309`, `1e999999`, `1e-999999`, `0e999999999`, `0.0E-999999999`, `-1E999999999999999999999`, `0.` + strings.Repeat("1", 63), strings.Repeat("9", 10_000)} {
		body := `{"metadata":{"a":[0,{"n":` + number + `}],"b":1}}`
		r := b.do(call{http.MethodPost, "/v1/call/sessions", "alice", body, nil}).problem(http.StatusBadRequest, "invalid_request")
		require.Equal(t, map[string]string{"/metadata/a/1/n": "invalid_value"}, r.faults())
		b.do(call{http.MethodPatch, path, "alice", body, nil}).problem(http.StatusBadRequest, "invalid_request")
	}
	b.quiet()
}

func TestWrongMethods(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for route, allowed := range map[string][]string{
		"/v1/call/sessions": {http.MethodPost, http.MethodGet}, path: {http.MethodGet, http.MethodPatch}, path + "/token": {http.MethodPost},
		path + "/members/bob": {http.MethodPut, http.MethodDelete}, path + "/events": {http.MethodGet, http.MethodPost},
		path + "/checkpoints/app": {http.MethodGet, http.MethodPut}, "/openapi.json": {http.MethodGet},
		"/docs": {http.MethodGet, http.MethodHead}, "/docs/x.js": {http.MethodGet, http.MethodHead},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"} {
			if slices.Contains(allowed, method) {
				continue
			}
			request := newRequest(t, method, route, "alice")
			response, _ := exchange(t, b.engine, request, "")
			require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode, "%s %s", method, route)
			require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
			for _, offered := range names(response.Header, "Allow") {
				require.Contains(t, allowed, strings.ToUpper(offered))
			}
			require.NotEmpty(t, names(response.Header, "Allow"))
			require.NotEmpty(t, response.Header.Get("X-Request-Id"))
		}
	}
	b.quiet()
}

func TestUnknownRoutes(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for _, target := range []string{
		"/", "/v1", "/v2/call/sessions", "/v1/call/sessions/", "//v1/call/sessions", "/v1/call/sessions//token", path + "/", path + "/tokens", path + "/members",
		path + "/members/", path + "/members/bob/x", "/v1/call/Sessions", "/.git/config", "/%2e%2e/%2e%2e/etc/passwd", "/v1/call/sessions/../../x", "/" + strings.Repeat("x", 8000), "/%00", "/%ff",
	} {
		request := newRequest(t, http.MethodGet, "/", "alice")
		parsed, err := url.ParseRequestURI(target)
		require.NoError(t, err)
		request.URL = parsed
		response, _ := exchange(t, b.engine, request, "")
		require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, response.StatusCode, "%.80s", target)
		require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
		require.Empty(t, response.Header.Get("Location"), "a redirect would be an answer that is no problem")
	}
	b.quiet()
}

func TestStrangeIDsAreUnknownSessions(t *testing.T) {
	b := setup(t)
	id := portstest.NewID(t)
	for _, strange := range []string{
		"%00", "%ff%fe", "%2F", "..%2F..", "'%20or%201=1--", "%F0%9F%98%80", strings.Repeat("x", 4000), strings.ReplaceAll(id, "-", ""), "urn:uuid:" + id,
		"%7B" + id + "%7D", id + "%00", "%20" + id, "00000000-0000-0000-0000-000000000000", "null", "0", "-1",
	} {
		for _, suffix := range []string{"", "/events"} {
			r := b.do(call{http.MethodGet, "/v1/call/sessions/" + strange + suffix, "alice", "", nil}).problem(http.StatusNotFound, "session_not_found")
			require.NotContains(t, r.body["detail"], "alice")
		}
		b.do(call{http.MethodPatch, "/v1/call/sessions/" + strange, "alice", `{}`, nil}).problem(http.StatusNotFound, "session_not_found")
		b.do(call{http.MethodPost, "/v1/call/sessions/" + strange + "/token", "alice", "", nil}).problem(http.StatusNotFound, "session_not_found")
		b.do(call{http.MethodPut, "/v1/call/sessions/" + strange + "/members/bob", "alice", `{"role":"viewer"}`, nil}).problem(http.StatusNotFound, "session_not_found")
		b.do(call{http.MethodDelete, "/v1/call/sessions/" + strange + "/members/bob", "alice", "", nil}).problem(http.StatusNotFound, "session_not_found")
	}
	b.quiet()
}

func TestStrangeParameters(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for _, query := range []string{
		"limit=", "limit=-1", "limit=1e2", "limit=0x10", "limit=99999999999999999999", "limit=1.0", "limit=%00", "limit=%D9%A1", "limit=1&limit=1", "limit=" + strings.Repeat("9", 5000),
		"after=%00", "after=%ff", "after=null", "after=" + strings.Repeat("x", 5000), "types=%00", "types=,", "types=call.created,", "types=CALL.CREATED", "types=" + strings.Repeat("x,", 5000),
		"%zz", "limit=%", "limit=1;after=2",
	} {
		b.do(call{http.MethodGet, path + "/events?" + query, "alice", "", nil}).problem(http.StatusBadRequest, "invalid_request")
	}
	for _, tag := range []string{"1", `"`, `"1`, `""""`, strings.Repeat(`"1",`, 2000) + `,`, "\xff", `"1" x`} {
		b.do(call{http.MethodPatch, path, "alice", `{"title":"x"}`, map[string]string{"If-Match": tag}}).problem(http.StatusBadRequest, "invalid_request")
	}
	for _, id := range []string{"two words", strings.Repeat("x", 129), "a\tb", "ü", `"><script>`} {
		r := b.do(call{http.MethodGet, path, "alice", "", map[string]string{"X-Request-Id": id}}).ok(http.StatusOK)
		require.NotEqual(t, id, r.header.Get("X-Request-Id"))
	}
	b.quiet()
}

// panickingStore has a bug.
type panickingStore struct{ *memory.Store }

func (panickingStore) Get(context.Context, ports.Viewer, string) (ports.View, error) {
	panic("the secret of the store")
}

func TestPanic(t *testing.T) {
	b := setupWith(t, panickingStore{memory.NewStore()})
	r := b.do(call{http.MethodGet, "/v1/call/sessions/" + portstest.NewID(t), "alice", "", map[string]string{"X-Request-Id": "find-me"}}).
		problem(http.StatusInternalServerError, "internal")
	require.Equal(t, "find-me", r.body["requestId"])
	require.Equal(t, false, r.body["retryable"])
	require.NotContains(t, string(r.text), "secret")
	require.NotContains(t, string(r.text), ".go")
	require.Contains(t, b.log.String(), "the secret of the store", "it is logged")
	b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{}`, nil}).ok(http.StatusCreated)
}

// TestSlowSender begins a request and never ends it.
func TestSlowSender(t *testing.T) {
	b := setup(t)
	server := httpserver.NewServer(httpserver.ServerOptions{
		Name: "test", Addr: "127.0.0.1:0", Handler: b.engine, ReadHeaderTimeout: 100 * time.Millisecond, ReadTimeout: 200 * time.Millisecond,
	})
	require.NoError(t, server.Start(t.Context()))
	defer func() { require.NoError(t, server.Shutdown(context.Background())) }()
	for name, test := range map[string]struct{ sent, code string }{
		"a body that stops":    {fmt.Sprintf("Content-Length: %d\r\n\r\n{\"title\":", 100), "invalid_request"},
		"a body that is late":  {fmt.Sprintf("Content-Length: %d\r\n\r\n", 100), "invalid_request"},
		"chunks without end":   {"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n", "invalid_request"},
		"headers without end":  {"X-Slow: ", ""},
		"a body that is wrong": {"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Addr())
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			_, err = io.WriteString(conn, "POST /v1/call/sessions HTTP/1.1\r\nHost: test\r\nX-User-Id: alice\r\nContent-Type: application/json\r\n"+test.sent)
			require.NoError(t, err)
			if test.code == "" {
				_, err = io.ReadAll(conn)
				require.NoError(t, err, "the server hangs up")
				return
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, answer.StatusCode, "%s", text)
			require.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
			require.Contains(t, string(text), `"code":"`+test.code+`"`)
		})
	}
	require.NotContains(t, b.log.String(), "level=ERROR")
}

// TestStrangersLearnNothingFromBadInput: whatever else is wrong, the answer about a session that is not theirs, about one that never existed
// and about an id that none can have is the same.
func TestStrangersLearnNothingFromBadInput(t *testing.T) {
	b := setup(t)
	path := b.session("")
	bodies := []string{"", `{`, `[]`, `{"nonsense":1}`, `{"title":""}`, `{"role":"king"}`, `{"ttlSeconds":1}`, `{"status":"over","metadata":1}`, `{}`}
	for _, e := range []endpoint{
		{http.MethodGet, ""}, {http.MethodPatch, ""}, {http.MethodPost, "/token"}, {http.MethodPut, "/members/bob"}, {http.MethodPut, "/members/%ff"},
		{http.MethodDelete, "/members/bob"}, {http.MethodGet, "/events"}, {http.MethodGet, "/events?limit=0&after=x&types=y"},
	} {
		for _, body := range bodies {
			for _, media := range []string{"application/json", "text/plain"} {
				header := map[string]string{"Content-Type": media, "X-Request-Id": "same", "If-Match": `"`}
				var answers []string
				for _, target := range []string{path, "/v1/call/sessions/" + portstest.NewID(t), "/v1/call/sessions/malformed"} {
					r := b.do(call{e.method, target + e.path, "mallory", body, header})
					require.GreaterOrEqual(t, r.status, http.StatusBadRequest)
					answers = append(answers, strings.ReplaceAll(fmt.Sprint(r.status, r.header, string(r.text)), target, "PATH"))
				}
				require.Equal(t, answers[0], answers[1], "%s %s %s", e.method, e.path, body)
				require.Equal(t, answers[0], answers[2], "%s %s %s", e.method, e.path, body)
			}
		}
	}
	b.quiet()
}

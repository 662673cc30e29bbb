// Package apitest attacks the API with requests that are made from its OpenAPI document: right ones, and ones with something wrong. Operations
// that the document gains are attacked from then on.
package apitest

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/openapi/conformance"
)

// Send makes a request and returns the answer with its body, as far as that was read when the request's context ended.
type Send func(request *http.Request) (*http.Response, []byte)

// streamFor is how long a request is held that a stream may answer.
const streamFor = 50 * time.Millisecond

// requestFor is how long any other request is held: what is wrong with it may lead it to a stream too.
const requestFor = 2 * time.Second

// Attack sends as many requests as steps says, each made with what the answers before it have told: ids, cursors, entity tags. It fails t
// where an answer is none that the document describes, is an error of the server's own, or refuses what the document calls right.
func Attack(t *rapid.T, document *conformance.Document, steps int, send Send) {
	a := attack{known: map[string][]string{}}
	operations := map[string]*conformance.Operation{}
	for _, operation := range document.Operations() {
		operations[operation.Method+" "+operation.Path] = operation
	}
	names := slices.Sorted(maps.Keys(operations))
	for range steps {
		operation := operations[rapid.SampledFrom(names).Draw(t, "operation")]
		d := a.draft(t, operation)
		right := rapid.IntRange(0, 2).Draw(t, "wrong things") == 0
		if !right {
			d.spoil(t)
		}
		a.step(t, document, operation, d, right, send)
	}
}

// attack knows what it was told.
type attack struct{ known map[string][]string }

func (a *attack) step(t *rapid.T, document *conformance.Document, operation *conformance.Operation, d draft, right bool, send Send) {
	streams := operation.Answers("text/event-stream")
	held := requestFor
	if streams {
		held = streamFor
	}
	ctx, cancel := context.WithTimeout(context.Background(), held)
	defer cancel()
	request := d.request(ctx)
	response, body := send(request) //nolint:bodyclose // Send has read it whole and closed it.
	if response == nil {
		return // it can't be sent by HTTP
	}
	streamed := strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream")
	t.Logf("%s %.300s %q: %d %.300s", d.method, d.target, d.body, response.StatusCode, body)
	err := document.Check(conformance.Exchange{
		Request: request, RequestBody: d.body, Response: response, Body: body, Streamed: streamed,
	})
	switch {
	case err != nil:
		t.Fatalf("an answer that the document does not describe: %v", err)
	case response.StatusCode >= http.StatusInternalServerError && !streams:
		t.Fatalf("an error of the server's own")
	case right && response.StatusCode == http.StatusBadRequest && !refusable(body):
		t.Fatalf("%s refuses what the document calls right", operation.ID)
	}
	a.learn(response, body)
}

// refusals are of what no schema can say: what depends on the session's state or on other members of the body.
var refusals = []struct{ pointer, code *regexp.Regexp }{
	{regexp.MustCompile(`^/provider(RoomId|ParticipantId|CallId)$`), regexp.MustCompile(`^(required|not_allowed)$`)}, // go with the activation
	{regexp.MustCompile(`^/members/[0-9]+/(userId|role)$`), regexp.MustCompile(`^(duplicate|not_allowed)$`)},         // twice; the owner
	{regexp.MustCompile(`^(/members|userId)$`), regexp.MustCompile(`^too_many$`)},
	{regexp.MustCompile(`^/metadata$`), regexp.MustCompile(`^too_(large|deep)$`)},         // as merged
	{regexp.MustCompile(`^/payload`), regexp.MustCompile(``)},                             // by the type's own schema
	{regexp.MustCompile(`^/(sessionId|version)$`), regexp.MustCompile(`^invalid_value$`)}, // another than the path's; than the type's
}

// refusable says whether a 400 is all about what no schema can say.
func refusable(body []byte) bool {
	var told struct {
		Code   string `json:"code"`
		Errors []struct {
			Pointer string `json:"pointer"`
			Code    string `json:"code"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &told) != nil {
		return false
	}
	for _, fault := range told.Errors {
		known := false
		for _, refusal := range refusals {
			known = known || refusal.pointer.MatchString(fault.Pointer) && refusal.code.MatchString(fault.Code)
		}
		if !known {
			return false
		}
	}
	return len(told.Errors) > 0 || told.Code == "invalid_cursor"
}

// learn keeps what later requests may name.
func (a *attack) learn(response *http.Response, body []byte) {
	if response.StatusCode >= http.StatusBadRequest {
		return
	}
	a.keep("If-Match", response.Header.Get("ETag"))
	var answer any
	if json.Unmarshal(body, &answer) == nil {
		a.learnFrom(answer)
	}
}

// namedIn says as which parameters the members of answers are given.
var namedIn = map[string][]string{
	"sessionId": {"sessionId"}, "eventId": {"after", "eventId", "Last-Event-ID"}, "lastEventId": {"after", "eventId", "Last-Event-ID"},
	"nextCursor": {"cursor"}, "eventsCursor": {"cursor", "after", "Last-Event-ID"},
}

func (a *attack) learnFrom(answer any) {
	switch answer := answer.(type) {
	case []any:
		for _, element := range answer {
			a.learnFrom(element)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(answer)) {
			if text, ok := answer[name].(string); ok {
				for _, parameter := range namedIn[name] {
					a.keep(parameter, text)
				}
			}
			if name != "metadata" && name != "payload" {
				a.learnFrom(answer[name])
			}
		}
	}
}

func (a *attack) keep(parameter, text string) {
	if text != "" && !slices.Contains(a.known[parameter], text) {
		a.known[parameter] = append(a.known[parameter], text)
	}
}

// draft is a request that is being made.
type draft struct {
	method, target string
	header         http.Header
	document       any // the body, before it is text
	body           []byte
}

// people call: who is told of a session, and who is not.
var people = []string{"alice", "alice", "alice", "bob", "mallory"}

var scopes = []string{"", "", "", "call:read", "call:admin", "call:events call:usage", "call:admin call:read call:events call:usage"}

// draft draws a request as the operation describes it.
func (a *attack) draft(t *rapid.T, operation *conformance.Operation) draft {
	d := draft{method: operation.Method, header: http.Header{}}
	path, query := operation.Path, url.Values{}
	d.header.Set("X-User-Id", rapid.SampledFrom(people).Draw(t, "user"))
	if granted := rapid.SampledFrom(scopes).Draw(t, "scopes"); granted != "" {
		d.header.Set("X-Scopes", granted)
	}
	for _, p := range operation.Parameters {
		if p.Name == "X-Scopes" || !p.Required && !rapid.Bool().Draw(t, "has "+p.Name) {
			continue
		}
		text := a.parameter(t, p)
		switch p.In {
		case "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(text))
		case "query":
			query.Set(p.Name, text)
		case "header":
			d.header.Set(p.Name, sendable(text))
		}
	}
	d.target = path
	if len(query) > 0 {
		d.target += "?" + query.Encode()
	}
	if len(operation.Bodies) > 0 && (operation.BodyRequired || rapid.Bool().Draw(t, "has a body")) {
		media := rapid.SampledFrom(slices.Sorted(maps.Keys(operation.Bodies))).Draw(t, "media type")
		d.header.Set("Content-Type", media)
		d.document = value(t, operation.Bodies[media].Resolved(), "body")
		d.write()
	}
	return d
}

// parameter draws what was told before, mostly, or what the schema allows.
func (a *attack) parameter(t *rapid.T, p conformance.Parameter) string {
	var known []string
	for _, text := range a.known[p.Name] {
		if p.Allows(text) {
			known = append(known, text)
		}
	}
	if len(known) > 0 && rapid.IntRange(0, 3).Draw(t, "known "+p.Name) > 0 {
		return rapid.SampledFrom(known).Draw(t, p.Name)
	}
	switch drawn := value(t, p.Schema.Resolved(), p.Name).(type) {
	case string:
		if drawn == "" && p.In == "path" {
			return "x"
		}
		return drawn
	case []any:
		list := make([]string, len(drawn))
		for i, element := range drawn {
			list[i], _ = element.(string)
		}
		return strings.Join(list, ",")
	default:
		text, _ := json.Marshal(drawn) // A number or a word.
		return string(text)
	}
}

// sendable leaves out what no header can hold.
func sendable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == '\u007f' {
			return -1
		}
		return r
	}, text))
}

// write makes the body's text of the document.
func (d *draft) write() { d.body, _ = json.Marshal(d.document) } // It is made of what JSON has.

func (d *draft) request(ctx context.Context) *http.Request {
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", strings.NewReader(string(d.body)))
	request.Method, request.Header = d.method, d.header
	if target, err := url.ParseRequestURI(d.target); err == nil {
		request.URL, request.RequestURI = target, d.target
	}
	return request
}

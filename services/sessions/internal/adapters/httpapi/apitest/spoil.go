package apitest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// spoil makes one to three things of the request odd; it may still be right.
func (d *draft) spoil(t *rapid.T) {
	ways := []func(*rapid.T){d.spoilMethod, d.spoilPath, d.spoilQuery, d.spoilHeader, d.spoilCaller}
	if d.body != nil {
		ways = append(ways, d.spoilMedia, d.spoilValue, d.spoilValue, d.spoilText, d.spoilText)
	}
	for range rapid.IntRange(1, 3).Draw(t, "spoiled") {
		ways[rapid.IntRange(0, len(ways)-1).Draw(t, "way to spoil")](t)
	}
}

func (d *draft) spoilMethod(t *rapid.T) {
	d.method = rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"}).Draw(t, "method")
}

func (d *draft) spoilPath(t *rapid.T) {
	path, query, _ := strings.Cut(d.target, "?")
	odd := rapid.SampledFrom([]string{
		"/", "//", "/x", "/%00", "/%ff", "/..", "/.", "/%2e%2e", "%00", "%20", "%2F", ";x=1", "/token", "/members", "/members/", "/members/a%2Fb", "/events",
	}).Draw(t, "path")
	switch rapid.IntRange(0, 3).Draw(t, "where") {
	case 0:
		path += odd
	case 1:
		at := strings.LastIndexByte(path, '/')
		path = path[:at] + odd
	case 2:
		path = odd + path
	default:
		path = strings.ToUpper(path)
	}
	d.target = "/" + strings.TrimPrefix(path, "/")
	if query != "" {
		d.target += "?" + query
	}
}

var oddTexts = []string{
	"", " ", "0", "-1", "1", "201", "+5", "007", "1.0", "1e2", "0x10", "99999999999999999999", "null", "*", `"`, `"1"`, `W/"1"`, `"1", "2"`, `"1",`, "x", ",", "a,b",
	"true", "{}", "[]", "ü", "😀", "\xff", "%00", "%zz", "../..", "' or 1=1--", "\"><script>", "00000000-0000-0000-0000-000000000000",
	"urn:uuid:00000000-0000-0000-0000-000000000000", "text/event-stream", "Bearer x.y.z", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}

func oddText(t *rapid.T) string {
	if length := rapid.IntRange(0, 9).Draw(t, "long"); length == 0 {
		return strings.Repeat("x", rapid.SampledFrom([]int{64, 65, 128, 129, 255, 256, 257, 512, 513, 5000}).Draw(t, "length"))
	}
	return rapid.SampledFrom(oddTexts).Draw(t, "odd")
}

func (d *draft) spoilQuery(t *rapid.T) {
	name := rapid.SampledFrom([]string{"limit", "cursor", "after", "types", "status", "x", "", "Limit"}).Draw(t, "parameter")
	separator := "?"
	if strings.Contains(d.target, "?") {
		separator = "&"
	}
	escaped := strings.NewReplacer(" ", "%20", "\xff", "%ff", "ü", "%c3%bc", "😀", "%F0%9F%98%80", "+", "%2B", "#", "%23").Replace(oddText(t))
	d.target += separator + name + "=" + escaped
}

func (d *draft) spoilHeader(t *rapid.T) {
	name := rapid.SampledFrom([]string{
		"If-Match", "Idempotency-Key", "Last-Event-ID", "Accept", "X-Request-Id", "Traceparent", "If-None-Match", "Range", "Accept-Encoding", "Expect",
		"Origin", "Content-Encoding", "X-Forwarded-For", "X-Http-Method-Override",
	}).Draw(t, "header")
	d.header.Add(name, sendable(oddText(t)))
}

func (d *draft) spoilCaller(t *rapid.T) {
	switch rapid.IntRange(0, 3).Draw(t, "caller") {
	case 0:
		d.header.Del("X-User-Id")
	case 1:
		d.header.Add("X-User-Id", "bob")
	case 2:
		d.header.Set("X-User-Id", sendable(oddText(t)))
	default:
		d.header.Set("X-Scopes", sendable(oddText(t)))
	}
}

func (d *draft) spoilMedia(t *rapid.T) {
	d.header.Set("Content-Type", rapid.SampledFrom([]string{
		"", "text/plain", "application/json; charset=utf-8", "application/json; charset=latin1", "APPLICATION/JSON", "application/merge-patch+json",
		"application/x-www-form-urlencoded", "multipart/form-data", "application/json;", "application/json; q", "*/*", "json", "\xff",
	}).Draw(t, "media type"))
}

// oddValues are of every type, and at the bounds of what numbers there are.
var oddValues = []any{
	nil, true, 0, 1, -1, 29, 3601, 0.5, "", "x", []any{}, map[string]any{}, []any{nil}, map[string]any{"x": nil}, map[string]any{"__proto__": map[string]any{}},
	json.RawMessage(`1e999`), json.RawMessage(`-1e308`), json.RawMessage(`1e-999`), json.RawMessage(`-0`), json.RawMessage(`9007199254740993`),
	json.RawMessage(`18446744073709551616`), json.RawMessage(`60.0`), json.RawMessage(`6e1`), json.RawMessage(strings.Repeat("9", 300)),
	strings.Repeat("é", 128), strings.Repeat("é", 129), strings.Repeat("x", 200), strings.Repeat("x", 201), strings.Repeat("x", 256), strings.Repeat("x", 257),
	strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 16<<10), "host", "ended", "livekit", "alice", "\u0000", "\ufffd",
}

// spoilValue puts another value at a place of the body, leaves one out or adds one.
func (d *draft) spoilValue(t *rapid.T) {
	other := rapid.SampledFrom(oddValues).Draw(t, "value")
	d.document = replaced(t, d.document, other, rapid.IntRange(0, 3).Draw(t, "how deep"))
	d.write()
}

func replaced(t *rapid.T, in, other any, depth int) any {
	switch in := in.(type) {
	case map[string]any:
		members := maps.Clone(in)
		names := slices.Sorted(maps.Keys(members))
		switch way := rapid.IntRange(0, 9).Draw(t, "way"); {
		case depth == 0 && way == 0:
			return other
		case way < 3 || len(names) == 0:
			name := rapid.SampledFrom([]string{"", "nonsense", "__proto__", "Title", "ownerId", "status", "title", "role", "a/b~c", "ttlSeconds"}).Draw(t, "added")
			members[name] = other
		case way < 5:
			delete(members, rapid.SampledFrom(names).Draw(t, "left out"))
		default:
			name := rapid.SampledFrom(names).Draw(t, "member")
			if members[name] = replaced(t, members[name], other, depth-1); depth <= 0 {
				members[name] = other
			}
		}
		return members
	case []any:
		elements := slices.Clone(in)
		if len(elements) == 0 || depth <= 0 {
			return append(elements, other)
		}
		i := rapid.IntRange(0, len(elements)-1).Draw(t, "element")
		elements[i] = replaced(t, elements[i], other, depth-1)
		return elements
	default:
		return other
	}
}

// oddParts are put into the text of a body.
var oddParts = []string{
	"\x00", "\xff", "\xc3\x28", "\xed\xa0\x80", `\u0000`, `\ud800`, `\udc00\ud800`, `"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\ufeff", `1e`, `NaN`, `//`,
	`"x":1,"x":1,`, `"title":"a","title":"b",`, `{"a":1,"\u0061":2}`,
}

// spoilText makes the body's text another one.
func (d *draft) spoilText(t *rapid.T) {
	at := rapid.IntRange(0, len(d.body)).Draw(t, "place")
	switch rapid.IntRange(0, 6).Draw(t, "text") {
	case 0:
		d.body = d.body[:at]
	case 1:
		d.body = slices.Concat(d.body, d.body)
	case 2:
		depth := rapid.SampledFrom([]int{31, 32, 33, 64, 65, 1000, 9999, 10001, 30_000}).Draw(t, "depth")
		deep := strings.Repeat(`{"a":[`, depth) + strings.Repeat(`]}`, depth)
		d.body = []byte(`{"metadata":` + deep + `}`)
	case 3:
		d.body = slices.Concat(d.body, bytes.Repeat([]byte(" "), rapid.SampledFrom([]int{1, 65_000, 65_536, 70_000}).Draw(t, "spaces")))
	case 4:
		d.body = bytes.Replace(d.body, []byte("{"), []byte(`{"title":"a","title":"b",`), 1)
	default:
		part := rapid.SampledFrom(oddParts).Draw(t, "part")
		d.body = slices.Concat(d.body[:at], []byte(part), d.body[at:])
	}
	if d.method == http.MethodTrace {
		d.body = nil // HTTP clients send none with it
	}
}

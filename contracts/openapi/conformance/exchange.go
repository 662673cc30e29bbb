package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Exchange is a request and its answer, the bodies as they were sent. The bodies of the http types are not looked at.
type Exchange struct {
	Request     *http.Request
	RequestBody []byte
	Response    *http.Response
	Body        []byte
	Streamed    bool // Body is not looked at
}

// Check returns everything in which an exchange is not as the document describes it: any answer, and the request of any answer that is no
// refusal. Where the document has no such path or method, it must be refused as the response Problem of the document says.
func (d *Document) Check(x Exchange) error {
	if preflight(x) {
		return nil
	}
	op, values, known := d.Find(x.Request.Method, x.Request.URL.EscapedPath())
	if op == nil {
		return d.checkElsewhere(x, known)
	}
	status := strconv.Itoa(x.Response.StatusCode)
	if x.Request.Method == http.MethodHead && op.Method != http.MethodHead && status == "405" {
		return d.checkElsewhere(x, true) // HEAD is offered where it is answered
	}
	described, listed := op.responses[status]
	if !listed {
		return fmt.Errorf("%s is not described to answer %s: %.300s", op.ID, status, x.Body)
	}
	faults := []error{described.check(x)}
	if x.Response.StatusCode < http.StatusBadRequest {
		faults = append(faults, op.CheckRequest(x.Request, x.RequestBody, values))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%s %s: %w", op.ID, status, err)
	}
	return nil
}

// preflight says whether it is one of CORS (Fetch standard, 4.8), which browsers send to any path, and which is answered with headers alone.
func preflight(x Exchange) bool {
	return x.Request.Method == http.MethodOptions && x.Request.Header.Get("Access-Control-Request-Method") != "" &&
		x.Response.StatusCode == http.StatusNoContent && len(x.Body) == 0
}

// Find returns the operation of a method (for HEAD, that of GET where it has none of its own) and an escaped path, with the path's
// parameters. known says whether the document has the path at all.
func (d *Document) Find(method, escapedPath string) (op *Operation, values map[string]string, known bool) {
	segments := strings.Split(escapedPath, "/")
	for _, wanted := range []string{method, map[string]string{http.MethodHead: http.MethodGet}[method]} {
		for _, candidate := range d.operations {
			found, ok := candidate.match(segments)
			known = known || ok
			if ok && candidate.Method == wanted {
				return candidate, found, true
			}
		}
	}
	return nil, nil, known
}

func (op *Operation) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(op.segments) {
		return nil, false
	}
	values := map[string]string{}
	for i, segment := range op.segments {
		if !strings.HasPrefix(segment, "{") {
			if segments[i] != segment {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || (value == "" && i == len(segments)-1) { // as gin has it: a parameter in between may be empty
			return nil, false
		}
		values[strings.Trim(segment, "{}")] = value
	}
	return values, true
}

// checkElsewhere holds the answer to what the document has no operation for.
func (d *Document) checkElsewhere(x Exchange, known bool) error {
	status, code := http.StatusNotFound, `"not_found"`
	if known {
		status, code = http.StatusMethodNotAllowed, `"method_not_allowed"`
	}
	faults := []error{d.elsewhere.check(x)}
	if x.Response.StatusCode != status {
		faults = append(faults, fmt.Errorf("must be refused with %d", status))
	}
	if x.Request.Method != http.MethodHead && !bytes.Contains(x.Body, []byte(code)) {
		faults = append(faults, fmt.Errorf("must be refused with the code %s", code))
	}
	if known && x.Response.Header.Get("Allow") == "" {
		faults = append(faults, errors.New("must say in Allow which methods there are (RFC 9110, section 15.5.6)"))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%s %.200s, which the document does not have, is answered %d %.300s: %w",
			x.Request.Method, x.Request.URL.EscapedPath(), x.Response.StatusCode, x.Body, err)
	}
	return nil
}

// anywhere are headers that HTTP itself, CORS and tracing put on answers.
var anywhere = []string{"Content-Type", "Content-Length", "Date", "Vary", "Connection", "Transfer-Encoding", "Traceparent", "Tracestate"}

func (r response) check(x Exchange) error {
	var faults []error
	for name, values := range x.Response.Header {
		_, described := r.headers[name]
		for spelled := range r.headers {
			described = described || http.CanonicalHeaderKey(spelled) == name
		}
		if !described && !slices.Contains(anywhere, name) && !strings.HasPrefix(name, "Access-Control-") {
			faults = append(faults, fmt.Errorf("the header %s %q is not described", name, values))
		}
	}
	for name, header := range r.headers {
		values := x.Response.Header.Values(name)
		faults = append(faults, header.check(values, strings.Join(values, ", ")))
	}
	return errors.Join(append(faults, r.checkBody(x))...)
}

func (r response) checkBody(x Exchange) error {
	if len(r.content) == 0 || x.Request.Method == http.MethodHead {
		if len(x.Body) > 0 {
			return fmt.Errorf("has a body: %.300s", x.Body)
		}
		return nil
	}
	given := x.Response.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(given)
	schema, listed := r.content[media]
	if err != nil || !listed {
		return fmt.Errorf("the media type %q is not described", given)
	}
	if x.Streamed {
		return nil
	}
	return schema.checkBody(media, x.Body)
}

// CheckRequest returns everything in which a request is not as the operation describes it; values are its path's parameters.
func (op *Operation) CheckRequest(r *http.Request, body []byte, values map[string]string) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	var faults []error
	if slices.ContainsFunc(op.Parameters, func(p Parameter) bool { return p.In == "query" }) {
		faults = append(faults, err)
	}
	for _, p := range op.Parameters {
		var given []string
		switch p.In {
		case "path":
			given = []string{values[p.Name]}
		case "query":
			given = query[p.Name]
			if len(given) > 1 {
				faults = append(faults, fmt.Errorf("%s is given more than once", p.Name))
			}
		default:
			given = r.Header.Values(p.Name)
		}
		faults = append(faults, p.check(given, strings.Join(given, ", ")))
	}
	if len(op.credentials) > 0 && !slices.ContainsFunc(op.credentials, func(name string) bool { return r.Header.Get(name) != "" }) {
		faults = append(faults, errors.New("has no credentials"))
	}
	if err := errors.Join(append(faults, op.checkRequestBody(r, body))...); err != nil {
		return fmt.Errorf("the request is not as it must be: %w", err)
	}
	return nil
}

func (op *Operation) checkRequestBody(r *http.Request, body []byte) error {
	if len(op.Bodies) == 0 || (len(body) == 0 && !op.BodyRequired) {
		return nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	schema, listed := op.Bodies[media]
	if err != nil || !listed {
		return fmt.Errorf("the media type %q is not described", r.Header.Get("Content-Type"))
	}
	return schema.checkBody(media, body)
}

// check holds a parameter or header to its schema.
func (p Parameter) check(values []string, joined string) error {
	if len(values) == 0 {
		if p.Required {
			return fmt.Errorf("%s is missing", p.Name)
		}
		return nil
	}
	if p.In != "path" && p.In != "query" {
		joined = strings.Trim(joined, " \t") // RFC 9110, section 5.5
	}
	if err := p.Schema.compiled.Validate(p.Schema.read(joined)); err != nil {
		return fmt.Errorf("%s %.200q: %w", p.Name, joined, err)
	}
	return nil
}

// Allows says whether the parameter may have this value.
func (p Parameter) Allows(value string) bool { return p.check([]string{value}, value) == nil }

// read takes the text of a parameter for what its schema says that it is.
func (s Schema) read(text string) any {
	switch s.node.text("type") {
	case "integer", "number":
		if number, err := jsonschema.UnmarshalJSON(strings.NewReader(text)); err == nil {
			return number
		}
	case "array":
		var elements []any
		for element := range strings.SplitSeq(text, ",") {
			elements = append(elements, element)
		}
		return elements
	}
	return text
}

func (s Schema) checkBody(media string, body []byte) error {
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return s.validate(string(body), body)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the body %.300q is no JSON: %w", body, err)
	}
	return s.validate(value, body)
}

func (s Schema) validate(value any, body []byte) error {
	if err := s.compiled.Validate(value); err != nil {
		return fmt.Errorf("the body %.500q: %w", body, err)
	}
	return nil
}

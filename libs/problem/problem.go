// Package problem writes errors of an HTTP API as RFC 9457 problem details (application/problem+json).
package problem

import (
	"encoding/json"
	"net/http"
)

// ContentType is the media type of a problem (RFC 9457, section 3).
const ContentType = "application/problem+json"

// typeBase is the part of a problem's type URI before its code.
const typeBase = "https://callplane.dev/problems/"

// Problem is one error as a client sees it: the members of RFC 9457 and the extensions of this API. A Problem is a value; the With
// methods return a changed copy, so that a package-level Problem can serve as a template. It implements error.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`

	// Code is the stable name that clients decide on.
	Code string `json:"code"`
	// Retryable says whether the same request may succeed later.
	Retryable bool `json:"retryable"`
	// RequestID and TraceID find the request in logs and traces.
	RequestID string `json:"requestId,omitempty"`
	TraceID   string `json:"traceId,omitempty"`
	// Errors holds every fault of bad input at once.
	Errors []FieldError `json:"errors,omitempty"`
	// Extensions are a problem type's own members (RFC 9457, section 3.2) beside the ones above, by name.
	Extensions map[string]any `json:"-"`
}

// FieldError is one fault of a request's body or parameters.
type FieldError struct {
	// Pointer is an RFC 6901 JSON pointer into the body ("" is all of it), or the name of a parameter.
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// New returns a problem with the type URI that belongs to code.
func New(status int, code, title string) Problem {
	return Problem{Type: TypeURI(code), Title: title, Status: status, Code: code}
}

// TypeURI returns the type URI of a problem code. It names the problem and may be opened for its documentation.
func TypeURI(code string) string {
	return typeBase + code
}

// Error implements error.
func (p Problem) Error() string {
	if p.Detail == "" {
		return p.Code + ": " + p.Title
	}
	return p.Code + ": " + p.Detail
}

// WithDetail returns a copy that explains this occurrence, in words for the client's developer.
func (p Problem) WithDetail(detail string) Problem {
	p.Detail = detail
	return p
}

// WithErrors returns a copy with the faults of the input.
func (p Problem) WithErrors(errs ...FieldError) Problem {
	p.Errors = append([]FieldError(nil), errs...)
	return p
}

// WithRetry returns a copy that tells the client that repeating the request may help.
func (p Problem) WithRetry() Problem {
	p.Retryable = true
	return p
}

// WithExtension returns a copy with one more member of the problem type's own.
func (p Problem) WithExtension(name string, value any) Problem {
	extensions := map[string]any{name: value}
	for known, v := range p.Extensions {
		if known != name {
			extensions[known] = v
		}
	}
	p.Extensions = extensions
	return p
}

// MarshalJSON writes the extensions as members beside the others.
func (p Problem) MarshalJSON() ([]byte, error) {
	type members Problem // without this method
	encoded, err := json.Marshal(members(p))
	if err != nil || len(p.Extensions) == 0 {
		return encoded, err
	}
	extensions, err := json.Marshal(p.Extensions)
	if err != nil {
		return nil, err
	}
	return append(append(encoded[:len(encoded)-1], ','), extensions[1:]...), nil
}

// Write sends p as the whole response. It fills in the request and trace ids that Annotate put into the request's context where p has
// none, and the instance (the request's path). r may be nil.
func Write(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Status == 0 {
		p.Status = http.StatusInternalServerError
	}
	if r != nil {
		p = p.annotated(r)
	}
	body, err := json.Marshal(p)
	if err != nil { // Strings, numbers and booleans alone: it can't happen, and must not hide the status if it does.
		body = []byte(`{}`)
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Length")
	h.Del("ETag")
	w.WriteHeader(p.Status)
	if r == nil || r.Method != http.MethodHead {
		_, _ = w.Write(body) // The client is gone; there is nobody to tell.
	}
}

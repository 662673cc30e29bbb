package stack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/callplane/callplane/contracts/openapi"
)

// description is the public API's, compiled once.
var description = sync.OnceValues(func() (validator.Validator, error) {
	document, err := libopenapi.NewDocument(openapi.Document())
	if err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, fmt.Errorf("reading the API's description: %w", errors.Join(errs...))
	}
	return v, nil
})

// conformance lets calls through and holds every answer against the API's description.
type conformance struct {
	t    testing.TB
	next *http.Transport
	mu   sync.Mutex // the validator resolves lazily and isn't made for several at once
}

func conforming(t testing.TB) *conformance {
	return &conformance{t: t, next: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: Patience}}
}

// RoundTrip is http.RoundTripper's. An answer that breaks the description fails the test and is given all the same.
func (c *conformance) RoundTrip(req *http.Request) (*http.Response, error) {
	v, err := description()
	if err != nil {
		return nil, err
	}
	res, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // A transport changes nothing.
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	checked := *res
	checked.Body = io.NopCloser(bytes.NewReader(body))
	res.Body = io.NopCloser(bytes.NewReader(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	if valid, faults := v.GetResponseBodyValidator().ValidateResponseBody(req, &checked); !valid {
		for _, fault := range faults {
			c.t.Errorf("%s %s answered %s, which is not as OpenAPI describes it: %s\n%.2000s", req.Method, req.URL.Path, res.Status, fault.Error(), body)
		}
	}
	return res, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (c *conformance) CloseIdleConnections() { c.next.CloseIdleConnections() }

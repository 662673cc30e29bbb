package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// Transport makes requests by Next and reports each exchange that is not as the document describes it. The answer is given all the same.
type Transport struct {
	Document *Document
	Next     http.RoundTripper
	Report   func(error)
}

// RoundTrip implements http.RoundTripper. Answers are read to their end, streams of events aside.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	x := Exchange{Request: request}
	if request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		x.RequestBody, err = io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
	}
	response, err := t.Next.RoundTrip(request)
	if err != nil {
		return nil, err //nolint:wrapcheck // A transport changes nothing.
	}
	x.Response = response
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if x.Streamed = media == "text/event-stream"; !x.Streamed {
		x.Body, err = io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		response.Body = io.NopCloser(bytes.NewReader(x.Body))
	}
	if err := t.Document.Check(x); err != nil {
		t.Report(fmt.Errorf("%s %s is not as OpenAPI describes it: %w", request.Method, request.URL.Path, err))
	}
	return response, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *Transport) CloseIdleConnections() {
	if next, ok := t.Next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

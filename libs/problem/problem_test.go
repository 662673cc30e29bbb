package problem_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/problem"
)

func TestWriteSendsAProblem(t *testing.T) {
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/things/a%2Fb?token=x", nil)
	request = request.WithContext(problem.Annotate(request.Context(), "req-1", "trace-1"))
	recorder := httptest.NewRecorder()
	recorder.Header().Set("ETag", `"7"`)
	recorder.Header().Set("Content-Length", "3")
	p := problem.InvalidRequest.WithDetail("Two fields are wrong.").
		WithErrors(problem.FieldError{Pointer: "/a", Code: "required", Message: "is missing"}, problem.FieldError{Pointer: "/b~1c", Code: "type", Message: "is no string"})
	problem.Write(recorder, request, p)

	assert.Equal(t, http.StatusBadRequest, recorder.Code)
	assert.Equal(t, "application/problem+json", recorder.Header().Get("Content-Type"))
	assert.Equal(t, "no-store", recorder.Header().Get("Cache-Control"))
	assert.Empty(t, recorder.Header().Get("ETag"), "an error has no entity tag")
	assert.JSONEq(t, `{
		"type": "https://callplane.dev/problems/invalid_request", "title": "The request is not valid", "status": 400,
		"detail": "Two fields are wrong.", "instance": "/v1/things/a%2Fb", "code": "invalid_request", "retryable": false,
		"requestId": "req-1", "traceId": "trace-1",
		"errors": [
			{"pointer": "/a", "code": "required", "message": "is missing"},
			{"pointer": "/b~1c", "code": "type", "message": "is no string"}
		]
	}`, recorder.Body.String())
	assert.Empty(t, problem.InvalidRequest.Errors, "the template is as it was")
	assert.Empty(t, problem.InvalidRequest.Detail)
}

func TestWriteWithoutRequestOrStatus(t *testing.T) {
	recorder := httptest.NewRecorder()
	problem.Write(recorder, nil, problem.Problem{Code: "internal"})
	assert.Equal(t, http.StatusInternalServerError, recorder.Code)
	var got problem.Problem
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &got))
	assert.Equal(t, http.StatusInternalServerError, got.Status)
}

func TestWriteAnswersHeadWithoutABody(t *testing.T) {
	recorder := httptest.NewRecorder()
	problem.Write(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", nil), problem.NotFound)
	assert.Equal(t, http.StatusNotFound, recorder.Code)
	assert.Empty(t, recorder.Body.String())
}

func TestProblemIsAnError(t *testing.T) {
	assert.EqualError(t, problem.NotFound, "not_found: No such resource")
	assert.EqualError(t, problem.NotFound.WithDetail("There is no a."), "not_found: There is no a.")
	assert.True(t, problem.Unavailable.Retryable)
	assert.False(t, problem.NotFound.Retryable)
	assert.True(t, problem.NotFound.WithRetry().Retryable)
}

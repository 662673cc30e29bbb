package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/openapi/conformance"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi/apitest"
)

// TestAttack sends what the OpenAPI document describes, and what it does not. It runs for longer with -rapid.checks=10000, say.
func TestAttack(t *testing.T) {
	document, err := conformance.Load()
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		b := setup(t)
		health := httpserver.NewHealth(nil)
		health.Mount(b.engine)
		apitest.Attack(rt, document, 20, func(request *http.Request) (*http.Response, []byte) {
			recorder := httptest.NewRecorder()
			b.engine.ServeHTTP(recorder, request)
			if request.Method == http.MethodHead {
				recorder.Body.Reset() // as net/http does
			}
			return recorder.Result(), recorder.Body.Bytes()
		})
		if log := b.log.String(); len(log) > 0 {
			require.NotContains(rt, log, "level=ERROR")
			require.NotContains(rt, log, "panic")
		}
	})
}

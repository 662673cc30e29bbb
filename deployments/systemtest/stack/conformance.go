package stack

import (
	"net/http"
	"testing"

	"github.com/callplane/callplane/contracts/openapi/conformance"
)

// conforming lets calls through and holds every request and answer to the API's description. What breaks it fails the test and is given all
// the same.
func conforming(t testing.TB) http.RoundTripper {
	t.Helper()
	document, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	return &conformance.Transport{
		Document: document, Next: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: Patience}, Report: func(err error) { t.Error(err) },
	}
}

package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/openapi/conformance"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestEvents(t *testing.T) {
	b := setup(t)
	path := b.session("")
	b.fact(path, portstest.Connected, "alice")
	b.fact(path, portstest.Joined, "alice")
	all := b.do(call{http.MethodGet, path + "/events", "bob", "", nil}).ok(http.StatusOK)
	items := all.body["items"].([]any)
	require.Len(t, items, 3)
	require.Equal(t, false, all.body["hasMore"])
	require.Equal(t, items[2].(map[string]any)["eventId"], all.body["lastEventId"])
	for _, item := range items {
		require.Len(t, item, 7, "a whole envelope")
	}
	first := items[0].(map[string]any)["eventId"].(string)
	page := b.do(call{http.MethodGet, path + "/events?limit=1&after=" + strings.ToUpper(first), "bob", "", nil}).ok(http.StatusOK)
	require.Equal(t, true, page.body["hasMore"])
	require.Equal(t, items[1:2], page.body["items"])
	page = b.do(call{http.MethodGet, path + "/events?types=call.created,call.participant.joined&limit=200", "bob", "", nil}).ok(http.StatusOK)
	require.Equal(t, []any{items[0], items[2]}, page.body["items"])
	page = b.do(call{http.MethodGet, path + "/events?after=" + all.body["lastEventId"].(string), "bob", "", nil}).ok(http.StatusOK)
	require.Empty(t, page.body["items"])
	require.Equal(t, all.body["lastEventId"], page.body["lastEventId"])

	gone := b.do(call{http.MethodGet, path + "/events?after=" + portstest.NewID(t), "bob", "", nil}).problem(http.StatusGone, "watermark_gone")
	require.Equal(t, first, gone.body["earliestEventId"])
	for query, parameter := range map[string]string{
		"after=x": "after", "limit=0": "limit", "limit=201": "limit", "limit=ten": "limit", "types=call.wrong": "types", "types=": "types",
		"limit=1&limit=2": "limit", "after=": "after",
	} {
		r := b.do(call{http.MethodGet, path + "/events?" + query, "bob", "", nil}).problem(http.StatusBadRequest, "invalid_request")
		require.Contains(t, r.faults(), parameter, query)
	}
	b.do(call{http.MethodGet, path + "/events?after=%zz", "bob", "", nil}).problem(http.StatusBadRequest, "invalid_request")
}

func TestToken(t *testing.T) {
	b := setup(t)
	path := b.session("")
	r := b.do(call{http.MethodPost, path + "/token", "bob", "", nil}).ok(http.StatusOK)
	require.Equal(t, "memory", r.body["token"])
	require.Equal(t, "bob#default", r.body["identity"])
	require.Equal(t, portstest.Start.Add(10*time.Minute).Format(time.RFC3339Nano), r.body["expiresAt"])
	r = b.do(call{http.MethodPost, path + "/token", "carol", `{"ttlSeconds":3.6e3,"deviceId":"phone-1","displayName":"Carol ☎"}`, nil}).ok(http.StatusOK)
	require.Equal(t, "carol#phone-1", r.body["identity"])
	asked := b.tokens.Requests()[1]
	require.EqualValues(t, "viewer", asked.Role)
	require.EqualValues(t, 1, asked.SessionVersion)
	require.Equal(t, time.Hour, asked.TTL)
	require.Equal(t, "Carol ☎", *asked.DisplayName)
	r = b.do(call{http.MethodPost, path + "/token", "bob", `{"ttlSeconds":29,"deviceId":"a b","displayName":""}`, nil}).problem(http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]string{"/ttlSeconds": "invalid_value", "/deviceId": "invalid_format", "/displayName": "required"}, r.faults())
	for _, body := range []string{`{"ttlSeconds":60.5}`, `{"ttlSeconds":"60"}`, `{"ttlSeconds":1e300}`, `{"deviceId":null}`} {
		b.do(call{http.MethodPost, path + "/token", "bob", body, nil}).problem(http.StatusBadRequest, "invalid_request")
	}
	require.NotContains(t, b.log.String(), "memory")
}

func TestTokenFailures(t *testing.T) {
	b := setup(t)
	path := b.session("")
	b.tokens.Err = fmt.Errorf("no bridge: %w", ports.ErrProviderUnavailable)
	r := b.do(call{http.MethodPost, path + "/token", "bob", "", nil}).problem(http.StatusServiceUnavailable, "provider_unavailable")
	require.Equal(t, true, r.body["retryable"])
	require.Equal(t, "1", r.header.Get("Retry-After"))
	b.tokens.Err = ports.ErrDeviceLimit
	b.do(call{http.MethodPost, path + "/token", "bob", "", nil}).problem(http.StatusConflict, "device_limit")
	b.tokens.Err = errors.New("a secret inside")
	r = b.do(call{http.MethodPost, path + "/token", "bob", "", nil}).problem(http.StatusInternalServerError, "internal")
	require.NotContains(t, string(r.text), "secret")
	require.Contains(t, b.log.String(), "a secret inside", "it is logged")
}

// brokenStore fails to read.
type brokenStore struct {
	*memory.Store
	err error
}

func (s brokenStore) Get(context.Context, ports.Viewer, string) (ports.View, error) {
	return ports.View{}, s.err
}

func TestStoreFailures(t *testing.T) {
	for err, want := range map[error]struct {
		status int
		code   string
	}{
		fmt.Errorf("connect: %w", ports.ErrUnavailable): {http.StatusServiceUnavailable, "unavailable"},
		context.DeadlineExceeded:                        {http.StatusServiceUnavailable, "unavailable"},
		errors.New("a bug"):                             {http.StatusInternalServerError, "internal"},
	} {
		b := setupWith(t, brokenStore{memory.NewStore(), err})
		b.do(call{http.MethodGet, "/v1/call/sessions/" + portstest.NewID(t), "alice", "", nil}).problem(want.status, want.code)
	}
}

// TestEveryRouteIsDescribed: what the document describes is held to be served by the requests that are made from it.
func TestEveryRouteIsDescribed(t *testing.T) {
	document, err := conformance.Load()
	require.NoError(t, err)
	var described []string
	for _, operation := range document.Operations() {
		described = append(described, operation.Method+" "+operation.Path)
	}
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, route := range setup(t).engine.Routes() {
		if route.Method != http.MethodHead {
			require.Contains(t, described, route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}"))
		}
	}
}

package httpapi_test

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// setupLimit allows each caller some requests a second on a clock of its own. Requests come through a proxy that is trusted.
func setupLimit(t *testing.T, perSecond float64) (*bundle, *memory.Clock) {
	t.Helper()
	clock := memory.NewClock(portstest.Start)
	limit, err := httpapi.NewLimit(perSecond, clock.Now)
	require.NoError(t, err)
	return setupWith(t, memory.NewStore(), func(api *httpapi.API, options *httpserver.Options) {
		api.Limit = limit
		options.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // where httptest's requests come from
	}), clock
}

func (b *bundle) read(user, address string) reply {
	b.t.Helper()
	return b.do(call{http.MethodGet, "/v1/call/sessions/x", user, "", map[string]string{"X-Forwarded-For": address}})
}

func limited(r reply, seconds string) {
	r.t.Helper()
	r.problem(http.StatusTooManyRequests, "rate_limited")
	require.Equal(r.t, seconds, r.header.Get("Retry-After"))
	require.Equal(r.t, true, r.body["retryable"])
}

func TestLimitIsOfEachUser(t *testing.T) {
	b, clock := setupLimit(t, 3)
	for range 3 {
		b.read("alice", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
	}
	limited(b.read("alice", "198.51.100.2"), "1")
	limited(b.do(call{http.MethodPost, "/v1/call/sessions", "alice", `{}`, nil}), "1")
	b.read("bob", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
	clock.Advance(time.Second / 3)
	b.read("alice", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
	limited(b.read("alice", "198.51.100.1"), "1")
	clock.Advance(time.Hour)
	for range 3 {
		b.read("alice", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
	}
	limited(b.read("alice", "198.51.100.1"), "1")
}

func TestRetryAfterIsEnough(t *testing.T) {
	b, clock := setupLimit(t, 0.25)
	b.read("alice", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
	limited(b.read("alice", "198.51.100.1"), "4")
	clock.Advance(1500 * time.Millisecond)
	limited(b.read("alice", "198.51.100.1"), "3")
	clock.Advance(3 * time.Second)
	b.read("alice", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
}

func TestLimitIsOfTheAddressWithoutAUser(t *testing.T) {
	b, _ := setupLimit(t, 2)
	for range 2 {
		b.read("", "198.51.100.1").problem(http.StatusUnauthorized, "unauthenticated")
	}
	limited(b.read("", "198.51.100.1"), "1")
	limited(b.do(call{http.MethodGet, "/openapi.json", "", "", map[string]string{"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}}), "1")
	b.read("", "198.51.100.2").problem(http.StatusUnauthorized, "unauthenticated")
	b.read("alice", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
	for i := range 2 {
		b.read("", fmt.Sprintf("2001:db8:0:1::%d", i)).problem(http.StatusUnauthorized, "unauthenticated")
	}
	limited(b.read("", "2001:db8:0:1:ffff::1"), "1")
	b.read("", "2001:db8:0:2::1").problem(http.StatusUnauthorized, "unauthenticated")
}

func TestAUserCanNotBeAnAddress(t *testing.T) {
	b, _ := setupLimit(t, 1)
	b.read("", "198.51.100.1").problem(http.StatusUnauthorized, "unauthenticated")
	b.read("198.51.100.1", "198.51.100.1").problem(http.StatusNotFound, "session_not_found")
}

func TestNobodyNamesTheirOwnAddressWithoutAProxy(t *testing.T) {
	limit, err := httpapi.NewLimit(1, memory.NewClock(portstest.Start).Now)
	require.NoError(t, err)
	b := setupWith(t, memory.NewStore(), func(api *httpapi.API, _ *httpserver.Options) { api.Limit = limit })
	b.read("", "198.51.100.1").problem(http.StatusUnauthorized, "unauthenticated")
	limited(b.read("", "198.51.100.2"), "1")
}

func TestLimitHoldsAtOnce(t *testing.T) {
	const allowed, callers = 10, 100
	b, _ := setupLimit(t, allowed)
	var passed, refused atomic.Int32
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			request := newRequest(t, http.MethodGet, "/v1/call/sessions/x", "alice")
			switch response, _ := exchange(t, b.engine, request, ""); response.StatusCode {
			case http.StatusNotFound:
				passed.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Errorf("status %d", response.StatusCode)
			}
		})
	}
	running.Wait()
	require.EqualValues(t, allowed, passed.Load())
	require.EqualValues(t, callers-allowed, refused.Load())
}

func TestWithoutALimitNobodyWaits(t *testing.T) {
	b, _ := setupLimit(t, 0)
	for range 100 {
		response, _ := exchange(t, b.engine, newRequest(t, http.MethodGet, "/v1/call/sessions/x", "alice"), "")
		require.Equal(t, http.StatusNotFound, response.StatusCode)
	}
}

func TestALimitIsANumber(t *testing.T) {
	for _, wrong := range []float64{-1, math.NaN(), math.Inf(1)} {
		_, err := httpapi.NewLimit(wrong, time.Now)
		require.Error(t, err)
	}
}

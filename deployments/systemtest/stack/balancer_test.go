package stack_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// TestABalancer goes to each replica in turn, and to the others where one is away.
func TestABalancer(t *testing.T) {
	t.Parallel()
	replica := func(name string) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
		t.Cleanup(server.Close)
		return server
	}
	first, second := replica("first"), replica("second")
	address := stack.HostOf(t, "http://127.0.0.1:"+strconv.Itoa(testkit.FreePort(t)))
	stack.Balance(t, address, stack.HostOf(t, first.URL), stack.HostOf(t, second.URL))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() string {
		res, err := client.Get("http://" + address)
		require.NoError(t, err)
		defer res.Body.Close() //nolint:errcheck // Only read from.
		answer, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(answer)
	}
	require.Equal(t, []string{"first", "second", "first"}, []string{ask(), ask(), ask()})
	first.Close()
	require.Equal(t, []string{"second", "second"}, []string{ask(), ask()})
}

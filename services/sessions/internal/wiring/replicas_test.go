//go:build integration

package wiring

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// createdOnce creates a session with a key, as a client does that heeds Retry-After, and returns its id.
func (r *running) createdOnce(key string) (string, error) {
	for {
		request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+"/v1/call/sessions", strings.NewReader(`{}`))
		if err != nil {
			return "", err
		}
		request.Header = http.Header{"X-User-Id": {"alice"}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
		response, err := r.client.Do(request)
		if err != nil {
			return "", err
		}
		var body struct{ SessionID, Code string }
		err = json.NewDecoder(response.Body).Decode(&body)
		if closing := response.Body.Close(); err == nil {
			err = closing
		}
		switch {
		case err != nil || response.StatusCode == http.StatusCreated:
			return body.SessionID, err
		case response.Header.Get("Retry-After") == "":
			return "", fmt.Errorf("POST is %d %s", response.StatusCode, body.Code)
		}
	}
}

// TestTwoReplicasAreOneService: a request that is repeated at another replica has its effect once, and a cursor is good there too.
func TestTwoReplicasAreOneService(t *testing.T) {
	environment := migrated(t)
	replicas := []*running{run(t, environment...), run(t, environment...)}
	for _, replica := range replicas {
		replica.ready(http.StatusOK, "degraded")
	}
	const callers = 50
	ids := make([]string, callers)
	var group errgroup.Group
	for i := range callers {
		group.Go(func() (err error) {
			ids[i], err = replicas[i%2].createdOnce("a-key")
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.NotEmpty(t, ids[0])
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	later, err := replicas[1].createdOnce("another-key")
	require.NoError(t, err)

	path, listed := "/v1/call/sessions?limit=1", []string{}
	for i := 0; path != ""; i++ {
		status, page, _ := replicas[i%2].request(http.MethodGet, path, "alice", "")
		require.Equal(t, http.StatusOK, status, page)
		for _, item := range page["items"].([]any) {
			listed = append(listed, item.(map[string]any)["sessionId"].(string))
		}
		path = ""
		if next, more := page["nextCursor"].(string); more {
			path = "/v1/call/sessions?limit=1&cursor=" + next
		}
	}
	require.Equal(t, []string{later, ids[0]}, listed)
}

//go:build integration

package wiring

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// pair starts two replicas on one database.
func pair(t *testing.T, more ...string) []*running {
	t.Helper()
	environment := append(migrated(t), more...)
	replicas := []*running{run(t, environment...), run(t, environment...)}
	for _, replica := range replicas {
		replica.ready(http.StatusOK, "degraded")
	}
	return replicas
}

// send makes a request of alice and returns the status of the answer. On a busy machine many writers wait for one session longer than the
// database lets them; then it asks again, as a client does.
func (r *running) send(method, path, body, ifMatch string) (int, error) {
	for {
		request, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		request.Header = http.Header{"X-User-Id": {"alice"}, "Content-Type": {"application/json"}}
		if ifMatch != "" {
			request.Header.Set("If-Match", ifMatch)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusServiceUnavailable {
			return response.StatusCode, err
		}
	}
}

// session creates one of alice and returns its path.
func (r *running) session() string {
	r.t.Helper()
	status, session, _ := r.request(http.MethodPost, "/v1/call/sessions", "alice", `{}`)
	require.Equal(r.t, http.StatusCreated, status, session)
	return "/v1/call/sessions/" + session["sessionId"].(string)
}

func (r *running) read(path string) map[string]any {
	r.t.Helper()
	status, session, _ := r.request(http.MethodGet, path, "alice", "")
	require.Equal(r.t, http.StatusOK, status, session)
	return session
}

// TestTwoWritersAtTwoReplicas: of two that know the same version one wins and the other is told; of those that don't ask for a version
// nobody's change is lost.
func TestTwoWritersAtTwoReplicas(t *testing.T) {
	replicas := pair(t)
	path := replicas[0].session()
	const rounds = 20
	for round := range rounds {
		etag := fmt.Sprintf(`"%d"`, round+1)
		statuses := make([]int, 2)
		var group errgroup.Group
		for i, replica := range replicas {
			group.Go(func() (err error) {
				statuses[i], err = replica.send(http.MethodPatch, path, fmt.Sprintf(`{"title":"%d of %d"}`, i, round), etag)
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.ElementsMatch(t, []int{http.StatusOK, http.StatusPreconditionFailed}, statuses)
		winner := 0
		if statuses[1] == http.StatusOK {
			winner = 1
		}
		for _, replica := range replicas {
			session := replica.read(path)
			require.Equal(t, fmt.Sprintf("%d of %d", winner, round), session["title"])
			require.EqualValues(t, round+2, session["version"])
		}
	}

	const writers = 30
	var group errgroup.Group
	for i := range writers {
		group.Go(func() error {
			status, err := replicas[i%2].send(http.MethodPatch, path, fmt.Sprintf(`{"metadata":{"k%d":%d}}`, i, i), "")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("PATCH is %d", status)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	session := replicas[1].read(path)
	require.Len(t, session["metadata"], writers, "nothing is lost")
	require.EqualValues(t, 1+rounds+writers, session["version"], "one version a change")
}

// TestMembersOfTwoReplicas changes the members through both at once.
func TestMembersOfTwoReplicas(t *testing.T) {
	replicas := pair(t)
	path := replicas[0].session()
	const people = 24
	expect := func(method, member, body string, i int, wanted ...int) func() error {
		return func() error {
			status, err := replicas[i%2].send(method, path+"/members/"+member, body, "")
			for _, want := range wanted {
				if status == want {
					return err
				}
			}
			return fmt.Errorf("%s %s is %d: %w", method, member, status, err)
		}
	}
	var inviting errgroup.Group
	for i := range people {
		inviting.Go(expect(http.MethodPut, fmt.Sprintf("user-%d", i), `{"role":"viewer"}`, i, http.StatusCreated))
		inviting.Go(expect(http.MethodPut, "everybody", `{"role":"viewer"}`, i, http.StatusCreated, http.StatusOK))
	}
	require.NoError(t, inviting.Wait())
	require.EqualValues(t, 1+people+1, replicas[0].read(path)["version"], "inviting somebody again changes nothing")
	var changing errgroup.Group
	for i := range people {
		user := fmt.Sprintf("user-%d", i)
		if i%2 == 0 {
			changing.Go(expect(http.MethodDelete, user, "", i/2, http.StatusNoContent))
		} else {
			changing.Go(expect(http.MethodPut, user, `{"role":"participant"}`, i/2, http.StatusOK))
		}
		changing.Go(expect(http.MethodDelete, "everybody", "", i, http.StatusNoContent, http.StatusNotFound))
	}
	require.NoError(t, changing.Wait())
	for _, replica := range replicas {
		session := replica.read(path)
		require.EqualValues(t, 2+people+people+1, session["version"])
		roles := map[string]int{}
		for _, member := range session["members"].([]any) {
			roles[member.(map[string]any)["role"].(string)]++
		}
		require.Equal(t, map[string]int{"host": 1, "participant": people / 2}, roles)
		_, page, _ := replica.request(http.MethodGet, path+"/events?limit=200", "alice", "")
		require.Len(t, page["items"], 2+people+people+1, "one event a change")
	}
}

// TestListsWhileThousandsAreCreated reads a list again and again through both replicas while both create more: what was there before is on
// its pages once each time, in order, and what came meanwhile before it.
func TestListsWhileThousandsAreCreated(t *testing.T) {
	replicas := pair(t)
	const before, created, writers = 45, 2000, 4
	var known []any
	for i := range before {
		path := replicas[i%2].session()
		known = append([]any{strings.TrimPrefix(path, "/v1/call/sessions/")}, known...)
	}
	var creating errgroup.Group
	for i := range writers {
		creating.Go(func() error {
			for range created / writers {
				if status, err := replicas[i%2].send(http.MethodPost, "/v1/call/sessions", `{}`, ""); err != nil || status != http.StatusCreated {
					return fmt.Errorf("POST is %d: %w", status, err)
				}
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- creating.Wait() }()
	for over := false; !over; {
		select {
		case err := <-done:
			require.NoError(t, err)
			over = true
		default:
		}
		all := listAll(t, replicas)
		require.Equal(t, known, all[len(all)-before:])
		if over {
			require.Len(t, all, before+created)
		}
	}
}

// listAll follows alice's list to its end, each page at the other replica, and holds that no session comes twice.
func listAll(t *testing.T, replicas []*running) []any {
	t.Helper()
	var all []any
	seen := map[any]bool{}
	cursor := ""
	for i := 0; ; i++ {
		status, page, _ := replicas[i%2].request(http.MethodGet, "/v1/call/sessions?limit=200"+cursor, "alice", "")
		require.Equal(t, http.StatusOK, status, page)
		for _, item := range page["items"].([]any) {
			id := item.(map[string]any)["sessionId"]
			require.False(t, seen[id], "%s comes twice", id)
			seen[id] = true
			all = append(all, id)
		}
		next, more := page["nextCursor"].(string)
		if !more {
			return all
		}
		cursor = "&cursor=" + next
	}
}

// TestTheLimitIsOfEachReplica: a caller may ask each as often as the setting says.
func TestTheLimitIsOfEachReplica(t *testing.T) {
	for _, replica := range pair(t, "RATE_LIMIT_RPS=0.001") {
		status, err := replica.send(http.MethodGet, "/v1/call/sessions", "", "")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		status, err = replica.send(http.MethodGet, "/v1/call/sessions", "", "")
		require.NoError(t, err)
		require.Equal(t, http.StatusTooManyRequests, status)
	}
}

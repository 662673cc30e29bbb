//go:build integration

package wiring

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
)

// streamed is an event as a stream shows it.
type streamed struct{ id, event, data, retry string }

// stream follows a path until it ends or enough says so, and returns what came.
func (r *running) stream(path, user, lastID string, enough func(streamed) bool) ([]streamed, error) {
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-User-Id", user)
	request.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	var got []streamed
	var one streamed
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			one.id = value
		case "event":
			one.event = value
		case "data":
			one.data = value
		case "retry":
			one.retry = value
		case "":
			if one == (streamed{}) {
				continue
			}
			got = append(got, one)
			if enough(one) {
				return got, nil
			}
			one = streamed{}
		}
	}
	return got, lines.Err() //nolint:wrapcheck // nil where it ended in order.
}

// newCall creates a session of alice's with bob.
func (r *running) newCall() string {
	r.t.Helper()
	status, body, _ := r.request(http.MethodPost, "/v1/call/sessions", "alice", `{"members":[{"userId":"bob","role":"participant"}]}`)
	require.Equal(r.t, http.StatusCreated, status, body)
	return body["sessionId"].(string)
}

func (r *running) patch(id, body string) {
	r.t.Helper()
	status, answer, _ := r.request(http.MethodPatch, "/v1/call/sessions/"+id, "alice", body)
	require.Equal(r.t, http.StatusOK, status, answer)
}

func logIDs(t *testing.T, r *running, id string) []string {
	t.Helper()
	var ids []string
	path := "/v1/call/sessions/" + id + "/events?limit=200"
	for after := ""; ; {
		status, page, _ := r.request(http.MethodGet, path+after, "alice", "")
		require.Equal(t, http.StatusOK, status)
		for _, item := range page["items"].([]any) {
			ids = append(ids, item.(map[string]any)["eventId"].(string))
		}
		if page["hasMore"] != true {
			return ids
		}
		after = "&after=" + page["lastEventId"].(string)
	}
}

// TestStreamsOverReplicas has writers and readers at two replicas, on one database and one broker. Readers hang up after a few events and
// go on behind the last of them, at either replica, all the time. Each ends with the exact log.
func TestStreamsOverReplicas(t *testing.T) {
	environment := migrated(t)
	vhost := testkit.Rabbit(t).Vhost(t)
	environment = append(environment, "AMQP_URL="+vhost.URL("sessions"))
	replicas := []*running{run(t, environment...), run(t, environment...)}
	for _, replica := range replicas {
		replica.ready(http.StatusOK, "ok")
	}
	id := replicas[0].newCall()
	path := "/v1/call/sessions/" + id + "/events"
	const writes, readers = 100, 6
	var running sync.WaitGroup
	for w, replica := range replicas {
		running.Go(func() {
			for i := range writes {
				replica.patch(id, fmt.Sprintf(`{"title":"%d-%d"}`, w, i))
			}
		})
	}
	read := make([][]string, readers)
	for n := range readers {
		running.Go(func() {
			for last := ""; len(read[n]) < 2*writes+1; {
				left := min(1+(n*7+len(read[n]))%23, 2*writes+1-len(read[n]))
				got, err := replicas[(n+len(read[n]))%2].stream(path, "bob", last, func(streamed) bool {
					left--
					return left == 0
				})
				if err != nil {
					t.Error(err)
					return
				}
				for _, one := range got {
					read[n], last = append(read[n], one.id), one.id
				}
			}
		})
	}
	running.Wait()
	log := logIDs(t, replicas[0], id)
	require.Len(t, log, 2*writes+1)
	for n := range readers {
		require.Equal(t, log, read[n], "reader %d", n)
	}
}

// TestAUserStreamLosesNothingOfLateCommits: a transaction appends, others append elsewhere and commit before it; a stream that was resumed
// behind those shows what it appended.
func TestAUserStreamLosesNothingOfLateCommits(t *testing.T) {
	environment := migrated(t)
	r := run(t, environment...)
	r.ready(http.StatusOK, "degraded")
	late, early := r.newCall(), r.newCall()
	first, err := r.stream("/v1/call/events", "bob", "", func(streamed) bool { return true })
	require.NoError(t, err)
	require.Equal(t, "ready", first[0].event)

	const eventID = "019ab1c2-5e01-7a11-9b2c-000000000001"
	url := strings.TrimPrefix(environment[0], "DATABASE_URL=")
	db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
	tx := db.Begin()
	require.NoError(t, tx.Exec("UPDATE sessions SET last_seq = 2, last_event_id = ? WHERE id = ?", eventID, late).Error)
	require.NoError(t, tx.Exec(`INSERT INTO events (session_id, seq, event_id, type, digest, envelope, appended_at)
		VALUES (?, 2, ?, 'call.updated', decode(repeat('00', 32), 'hex'), ?::json, now())`,
		late, eventID, `{"eventId":"`+eventID+`","type":"call.updated"}`).Error)
	r.patch(early, `{"title":"early"}`)
	seen, err := r.stream("/v1/call/events", "bob", first[0].id, func(s streamed) bool { return s.event == "call.updated" })
	require.NoError(t, err)
	resumed := seen[len(seen)-1].id
	require.NotContains(t, seen[len(seen)-1].data, eventID)
	require.NoError(t, tx.Commit().Error)
	done := time.AfterFunc(30*time.Second, func() { t.Error("the late event does not come") })
	defer done.Stop()
	_, err = r.stream("/v1/call/events", "bob", resumed, func(s streamed) bool { return strings.Contains(s.data, eventID) })
	require.NoError(t, err)
}

// TestStreamsAreHandedOver: a replica that stops ends its streams at once, and clients come back at another one.
func TestStreamsAreHandedOver(t *testing.T) {
	environment := migrated(t)
	replicas := []*running{run(t, environment...), run(t, environment...)}
	for _, replica := range replicas {
		replica.ready(http.StatusOK, "degraded")
	}
	id := replicas[0].newCall()
	path := "/v1/call/sessions/" + id + "/events"
	began := make(chan struct{})
	var once sync.Once
	var got []streamed
	var err error
	var following sync.WaitGroup
	following.Go(func() {
		got, err = replicas[0].stream(path, "bob", "", func(streamed) bool {
			once.Do(func() { close(began) })
			return false
		})
	})
	<-began
	replicas[0].stop()
	require.Zero(t, replicas[0].exit())
	following.Wait()
	require.NoError(t, err)
	require.NotEmpty(t, got[len(got)-1].retry)
	replicas[1].patch(id, `{"title":"later"}`)
	more, err := replicas[1].stream(path, "bob", got[0].id, func(streamed) bool { return true })
	require.NoError(t, err)
	var envelope struct{ Type string }
	require.NoError(t, json.Unmarshal([]byte(more[0].data), &envelope))
	require.Equal(t, "call.updated", envelope.Type)
}

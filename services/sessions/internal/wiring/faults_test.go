//go:build integration

package wiring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
)

// keyedAnswer is what a request with a key was told.
type keyedAnswer struct {
	status   int
	code     string
	replayed bool
	body     string
	header   http.Header
}

// keyed creates a session with a key, once.
func (r *running) keyed(user, key string) keyedAnswer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+"/v1/call/sessions", strings.NewReader(`{"title":"once"}`))
	require.NoError(r.t, err)
	request.Header = http.Header{"X-User-Id": {user}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
	response, err := http.DefaultClient.Do(request)
	require.NoError(r.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, response.Body.Close())
	var problem struct{ Code string }
	require.NoError(r.t, json.Unmarshal(text, &problem), "%s", text)
	return keyedAnswer{
		status: response.StatusCode, code: problem.Code, replayed: response.Header.Get("Idempotency-Replayed") == "true",
		body: string(text), header: response.Header,
	}
}

// keyedUntilDone repeats the request as a client does, while it is told to, and returns the success. Whatever it is told before must say
// that it may be repeated.
func (r *running) keyedUntilDone(user, key string) keyedAnswer {
	r.t.Helper()
	var last keyedAnswer
	testkit.Eventually(r.t, time.Minute, func(context.Context) error {
		last = r.keyed(user, key)
		if last.status == http.StatusCreated {
			return nil
		}
		require.Contains(r.t, []string{"unavailable", "idempotency_in_progress"}, last.code, last.body)
		require.NotEmpty(r.t, last.header.Get("Retry-After"))
		return fmt.Errorf("still %d %s", last.status, last.code)
	})
	return last
}

// requireOnce holds that the caller's request had its effect once, that its repeats get one answer, and that nothing of the attempts is left
// over on the server. before is what the attempts so far were told.
func (r *running) requireOnce(database *pgx.Conn, user, key string, before ...keyedAnswer) {
	r.t.Helper()
	done := r.keyedUntilDone(user, key)
	for _, answer := range before {
		if answer.status == http.StatusCreated {
			require.Equal(r.t, answer.body, done.body)
		}
	}
	again := r.keyed(user, key)
	require.Equal(r.t, http.StatusCreated, again.status, again.body)
	require.True(r.t, again.replayed)
	require.Equal(r.t, done.body, again.body)
	require.Equal(r.t, done.header.Get("Location"), again.header.Get("Location"))
	require.Equal(r.t, done.header.Get("ETag"), again.header.Get("ETag"))
	var sessions, created, logged, messages, keys int
	require.NoError(r.t, database.QueryRow(r.t.Context(), `
WITH own AS (SELECT id FROM sessions WHERE owner_id = $1)
SELECT (SELECT count(*) FROM own), (SELECT count(*) FROM events WHERE session_id IN (SELECT id FROM own) AND type = 'call.created'),
       (SELECT count(*) FROM events WHERE session_id IN (SELECT id FROM own)),
       (SELECT count(*) FROM outbox WHERE partition_key IN (SELECT id::text FROM own)),
       (SELECT count(*) FROM idempotency_keys WHERE user_id = $1)`, user).Scan(&sessions, &created, &logged, &messages, &keys))
	require.Equal(r.t, []int{1, 1, 1, 1, 1}, []int{sessions, created, logged, messages, keys}, "session, call.created, event, message, key")
	testkit.Eventually(r.t, time.Minute, func(ctx context.Context) error {
		var n int
		err := database.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state LIKE 'idle in transaction%' OR wait_event_type = 'Lock')`).Scan(&n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d transactions are left over", n)
		}
		return err
	})
}

// databaseBy returns migrated settings with the database's address replaced by that of a proxy, and a connection that goes straight to it.
func databaseBy(t *testing.T, by func(url string) string) (environ []string, straight *pgx.Conn) {
	t.Helper()
	environ = migrated(t)
	url := strings.TrimPrefix(environ[0], "DATABASE_URL=")
	environ[0] = "DATABASE_URL=" + by(url)
	straight, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, straight.Close(context.WithoutCancel(t.Context()))) })
	return environ, straight
}

// TestPostgresCutAnywhereInAKeyedCreate breaks the connection before every single message of the transaction, and in the middle of each
// that the server is sent, those of the commit among them: what was asked and never came, and what was done and never told. The client's
// repeat gives one session.
func TestPostgresCutAnywhereInAKeyedCreate(t *testing.T) {
	var proxy *testkit.PGProxy
	environ, database := databaseBy(t, func(url string) (by string) {
		proxy, by = testkit.ProxyPostgres(t, url)
		return by
	})
	service := run(t, environ...)
	service.ready(http.StatusOK, "degraded")
	followed := proxy.Follow("nobody-cuts")
	require.Equal(t, http.StatusCreated, service.keyed("nobody-cuts", "k").status)
	messages := <-followed
	commit := slices.Index(messages, "to the server: commit")
	require.Greater(t, commit, 20, "one statement at least for each of key, creation and answer: %v", messages)
	require.Contains(t, messages[commit:], "to the client: C", "%v", messages)
	require.Equal(t, "to the client: Z", messages[len(messages)-1], "%v", messages)
	for at, message := range messages {
		breaks := []func(marker string, at int) *testkit.PGFault{proxy.Cut}
		if strings.HasPrefix(message, "to the server") { // Half of an answer says no more than none.
			breaks = append(breaks, proxy.Tear)
		}
		for how, breakAt := range breaks {
			user := fmt.Sprintf("user-%d-%03d", how, at)
			fault := breakAt(user, at)
			first := service.keyed(user, "k")
			select {
			case broken := <-fault.Hit():
				require.Equal(t, message, broken)
			default:
				require.Fail(t, "nothing was broken", "%d %d %s: %s", how, at, message, first.body)
			}
			if first.status != http.StatusCreated { // Where nothing was begun yet, the driver itself tries another connection.
				require.Equal(t, http.StatusServiceUnavailable, first.status, first.body)
				require.Equal(t, "unavailable", first.code)
			}
			service.requireOnce(database, user, "k", first)
		}
	}
	t.Logf("broke at each of %d messages: %v", len(messages), messages)
}

// TestNetworkFaultsInAKeyedCreate: the network between service and PostgreSQL fails in the ways that Toxiproxy knows, after some of what the
// create sends or is sent has passed.
func TestNetworkFaultsInAKeyedCreate(t *testing.T) {
	for name, toxic := range map[string]string{
		"requests stop and the connection closes": `{"type":"limit_data","stream":"upstream","attributes":{"bytes":1500}}`,
		"answers stop and the connection closes":  `{"type":"limit_data","stream":"downstream","attributes":{"bytes":700}}`,
		"connections are reset":                   `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":1}}`,
		"nothing passes, then it closes":          `{"type":"timeout","stream":"upstream","attributes":{"timeout":300}}`,
		"answers vanish and nobody closes":        `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var proxy *toxiproxy.Proxy
			environ, database := databaseBy(t, func(url string) string {
				u, err := pgx.ParseConfig(url)
				require.NoError(t, err)
				target := fmt.Sprintf("%s:%d", u.Host, u.Port)
				proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "postgres", "127.0.0.1:0", target)
				require.NoError(t, proxy.Start())
				t.Cleanup(proxy.Stop)
				return strings.Replace(url, target, proxy.Listen, 1)
			})
			service := run(t, environ...)
			service.ready(http.StatusOK, "degraded")
			added, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
			require.NoError(t, err)
			first := service.keyed("alice", "k")
			require.NoError(t, proxy.Toxics.RemoveToxic(t.Context(), added.Name))
			if first.status != http.StatusCreated {
				require.Equal(t, http.StatusServiceUnavailable, first.status, first.body)
				require.NotEmpty(t, first.header.Get("Retry-After"))
			}
			service.requireOnce(database, "alice", "k", first)
		})
	}
}

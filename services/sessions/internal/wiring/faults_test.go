//go:build integration

package wiring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
func (r *running) requireOnce(database, user, key string, before ...keyedAnswer) {
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
	conn, err := pgx.Connect(r.t.Context(), database)
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, conn.Close(context.WithoutCancel(r.t.Context()))) }()
	for what, query := range map[string]string{
		"session":      "SELECT count(*) FROM sessions WHERE owner_id = $1",
		"call.created": "SELECT count(*) FROM events JOIN sessions s ON s.id = session_id WHERE owner_id = $1 AND type = 'call.created'",
		"event":        "SELECT count(*) FROM events JOIN sessions s ON s.id = session_id WHERE owner_id = $1",
		"message":      "SELECT count(*) FROM outbox o JOIN sessions s ON s.id::text = o.partition_key WHERE s.owner_id = $1",
		"key":          "SELECT count(*) FROM idempotency_keys WHERE user_id = $1",
	} {
		var n int
		require.NoError(r.t, conn.QueryRow(r.t.Context(), query, user).Scan(&n))
		require.Equal(r.t, 1, n, what)
	}
	testkit.Eventually(r.t, time.Minute, func(ctx context.Context) error {
		var n int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state LIKE 'idle in transaction%' OR wait_event_type = 'Lock')`).Scan(&n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d transactions are left over", n)
		}
		return err
	})
}

// databaseBy returns migrated settings with the database's address replaced by that of a proxy, and the address itself.
func databaseBy(t *testing.T, by func(url string) string) (environ []string, url string) {
	t.Helper()
	environ = migrated(t)
	url = strings.TrimPrefix(environ[0], "DATABASE_URL=")
	environ[0] = "DATABASE_URL=" + by(url)
	return environ, url
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

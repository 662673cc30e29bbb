//go:build integration

package postgres_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

func spec() domain.Spec {
	title := "Weekly <sync> & more"
	return domain.Spec{
		Title: &title, Metadata: []byte(`{"big":12345678901234567890.10,"tag":"\u003cé\"","nothing":null}`),
		Members: []events.Member{{UserID: "bob", Role: events.RoleParticipant}},
	}
}

// client asks the API for sessions, over HTTP in this process.
type client struct {
	base string
	http *http.Client
}

// serve serves the API until the benchmark ends.
func serve(b *testing.B, api httpapi.API) *client {
	b.Helper()
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // What it takes to write a line is counted, too.
	engine := httpserver.NewEngine(httpserver.Options{Service: "sessions", Log: log})
	ready := make(chan struct{})
	close(ready)
	api.Auth, api.Ready = httpapi.DevAuth{}, ready
	api.Mount(engine)
	server := httptest.NewServer(engine)
	c := &client{base: server.URL + "/v1/call/sessions", http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchConns}}}
	b.Cleanup(func() { c.http.CloseIdleConnections(); server.Close() })
	return c
}

// create asks for a session of the spec.
func (c *client) create(ctx context.Context, key string) error {
	const body = `{"title":"Weekly <sync> & more","metadata":{"big":12345678901234567890.10,"tag":"\u003cé\"","nothing":null},` +
		`"members":[{"userId":"bob","role":"participant"}]}`
	header := http.Header{"X-User-Id": {"alice"}, "Content-Type": {"application/json"}}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	return c.send(ctx, http.MethodPost, "", header, body, http.StatusCreated)
}

// get asks for what there is at a path.
func (c *client) get(ctx context.Context, path string) error {
	return c.send(ctx, http.MethodGet, path, http.Header{"X-User-Id": {reader}}, "", http.StatusOK)
}

func (c *client) send(ctx context.Context, method, path string, header http.Header, body string, want int) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = header
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != want {
		err = fmt.Errorf("%s %s is %d: %s", method, path, response.StatusCode, text)
	}
	return err
}

func rawPool(b *testing.B, url string) *pgxpool.Pool {
	b.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(b, err)
	config.MaxConns = benchConns
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	return pool
}

// createRaw sends the statements of a creation one by one.
func createRaw(ctx context.Context, pool *pgxpool.Pool, m made, key string, keyed bool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, statement := range createStatements(m, key, keyed) {
			if _, err := tx.Exec(ctx, statement.SQL, statement.Args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// createBatched sends the same in one message, which the server makes a transaction of.
func createBatched(ctx context.Context, pool *pgxpool.Pool, m made, key string, keyed bool) error {
	batch := &pgx.Batch{}
	for _, statement := range createStatements(m, key, keyed) {
		batch.Queue(statement.SQL, statement.Args...)
	}
	return pool.SendBatch(ctx, batch).Close()
}

// createStatements returns the statements of a creation, those of its key in their plainest form.
func createStatements(m made, key string, keyed bool) []postgres.Query {
	s, e := m.session.Snapshot(), m.log[0]
	statements := []postgres.Query{
		{`INSERT INTO sessions (id, owner_id, status, title, kind, provider, metadata, version, created_at, updated_at,
		                        disconnected, last_seq, last_event_id)
		  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, false, 1, $11)`,
			[]any{
				s.ID, s.OwnerID, string(s.Status), s.Title, string(s.Kind), s.Provider, string(s.Metadata), s.Version, s.CreatedAt, s.UpdatedAt,
				e.Event.EventID,
			}},
		{`INSERT INTO members (session_id, user_id, role, session_created_at, since_seq) VALUES ($1, $2, $3, $6, 1), ($1, $4, $5, $6, 1)`,
			[]any{s.ID, s.Members[0].UserID, string(s.Members[0].Role), s.Members[1].UserID, string(s.Members[1].Role), s.CreatedAt}},
		{`INSERT INTO events (session_id, seq, event_id, type, digest, envelope, appended_at) VALUES ($1, 1, $2, $3, $4, $5, $6)`,
			[]any{s.ID, e.Event.EventID, string(e.Event.Type), e.Digest[:], string(e.JSON), e.AppendedAt}},
		{`INSERT INTO outbox (lane, partition_key, exchange, routing_key, message_id, headers, body)
		  VALUES (0, $1, 'call.events', $2, $3, '{"session-id":"x"}', $4)`,
			[]any{s.ID, string(e.Event.Type), e.Event.EventID, []byte(e.JSON)}},
	}
	if keyed {
		fingerprint := sha256.Sum256(nil)
		before := []postgres.Query{
			{`SELECT set_config('statement_timeout', $1, true)`, []any{"2000"}},
			{`INSERT INTO idempotency_keys (user_id, key, fingerprint, keep_until) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
				[]any{"raw", key, fingerprint[:], time.Now().Add(time.Hour)}},
		}
		after := postgres.Query{
			SQL:  `UPDATE idempotency_keys SET status = 201, headers = '{}', body = '{}' WHERE user_id = $1 AND key = $2`,
			Args: []any{"raw", key},
		}
		statements = append(append(before, statements...), after)
	}
	return statements
}

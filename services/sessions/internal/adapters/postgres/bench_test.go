//go:build integration

package postgres_test

import (
	"context"
	"crypto/sha256"
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
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/adapters/system"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

const (
	benchConns = 8   // connections of each pool, and callers at once
	benchBatch = 200 // creations between two looks at the clock
)

// made is a new session with the beginning of its log, ready to be stored.
type made struct {
	session *domain.Session
	log     []ports.Entry
}

// BenchmarkCreate creates sessions, by turns with the same SQL statements sent by pgx alone with values that are ready, on as many
// connections to the same database. The metric of-raw is our rate as a part of that one: "store" is given what it stores, as pgx is;
// "use case" makes it, event and its checks against the schema included; "http" is asked for it by a client in this process.
func BenchmarkCreate(b *testing.B) {
	url, _ := testkit.Postgres(b).Database(b, "sessions", migrate)
	raw, store := rawPool(b, url), postgres.NewStore(connect(b, url), "call.events", func(...string) {})
	create := app.CreateSession{Store: store, Keys: store, Clock: system.Clock{}, IDs: system.IDs{}}
	caller, spec := domain.Principal{UserID: "alice"}, spec()
	ask := asked(b, create)
	respond := func(ports.View) (ports.Response, error) { return ports.Response{Status: 201, Body: []byte("{}")}, nil }
	for _, c := range []struct {
		name  string
		keyed bool
		ours  func(ctx context.Context, m made, key string) error
	}{
		{"store", false, func(ctx context.Context, m made, _ string) error {
			_, err := store.Create(ctx, m.session, m.log)
			return err
		}},
		{"use case", false, func(ctx context.Context, _ made, _ string) error {
			_, err := create.Do(ctx, caller, spec)
			return err
		}},
		{"use case with a key", true, func(ctx context.Context, _ made, key string) error {
			_, _, err := create.DoOnce(ctx, caller, spec, app.Idempotency[ports.View]{Key: key, Fingerprint: sha256.Sum256(nil), Respond: respond})
			return err
		}},
		{"http", false, func(ctx context.Context, _ made, _ string) error { return ask(ctx, "") }},
		{"http with a key", true, func(ctx context.Context, _ made, key string) error { return ask(ctx, key) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			theirs := func(ctx context.Context, m made, key string) error { return createRaw(ctx, raw, m, key, c.keyed) }
			var ourTime, theirTime time.Duration
			batch(b, benchBatch/4, c.ours) // connections and prepared statements
			batch(b, benchBatch/4, theirs)
			creations := 0
			for b.Loop() {
				theirTime += batch(b, benchBatch, theirs)
				ourTime += batch(b, benchBatch, c.ours)
				creations += benchBatch
			}
			b.ReportMetric(theirTime.Seconds()/ourTime.Seconds(), "of-raw")
			b.ReportMetric(float64(creations)/ourTime.Seconds(), "creates/s")
			b.ReportMetric(float64(creations)/theirTime.Seconds(), "raw/s")
		})
	}
}

// batch creates n sessions from all callers at once, and returns how long that took.
func batch(b *testing.B, n int, create func(ctx context.Context, m made, key string) error) time.Duration {
	b.Helper()
	work := make(chan made, n)
	for range n {
		session, log := portstest.NewSession(b)
		work <- made{session, log}
	}
	close(work)
	group, ctx := errgroup.WithContext(b.Context())
	began := time.Now()
	for range benchConns {
		group.Go(func() error {
			for m := range work {
				if err := create(ctx, m, m.log[0].Event.EventID); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(b, group.Wait())
	return time.Since(began)
}

func spec() domain.Spec {
	title := "Weekly <sync> & more"
	return domain.Spec{
		Title: &title, Metadata: []byte(`{"big":12345678901234567890.10,"tag":"\u003cé\"","nothing":null}`),
		Members: []events.Member{{UserID: "bob", Role: events.RoleParticipant}},
	}
}

// asked serves the API and returns what asks it for a session of the same spec.
func asked(b *testing.B, create app.CreateSession) func(ctx context.Context, key string) error {
	b.Helper()
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // What it takes to write a line is counted, too.
	engine := httpserver.NewEngine(httpserver.Options{Service: "sessions", Log: log})
	ready := make(chan struct{})
	close(ready)
	httpapi.API{Create: create, Auth: httpapi.DevAuth{}, Ready: ready}.Mount(engine)
	server := httptest.NewServer(engine)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchConns}}
	b.Cleanup(func() { client.CloseIdleConnections(); server.Close() })
	const body = `{"title":"Weekly <sync> & more","metadata":{"big":12345678901234567890.10,"tag":"\u003cé\"","nothing":null},` +
		`"members":[{"userId":"bob","role":"participant"}]}`
	return func(ctx context.Context, key string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/call/sessions", strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header = http.Header{"X-User-Id": {"alice"}, "Content-Type": {"application/json"}}
		if key != "" {
			request.Header.Set("Idempotency-Key", key)
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusCreated {
			err = fmt.Errorf("POST is %d: %s", response.StatusCode, text)
		}
		if closing := response.Body.Close(); err == nil {
			err = closing
		}
		return err
	}
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

// createRaw sends the statements of a creation, those of its key in their plainest form.
func createRaw(ctx context.Context, pool *pgxpool.Pool, m made, key string, keyed bool) error {
	s, e := m.session.Snapshot(), m.log[0]
	type statement struct {
		sql  string
		args []any
	}
	statements := []statement{
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
		before := []statement{
			{`SELECT set_config('statement_timeout', $1, true)`, []any{"2000"}},
			{`INSERT INTO idempotency_keys (user_id, key, fingerprint, keep_until) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
				[]any{"raw", key, fingerprint[:], time.Now().Add(time.Hour)}},
		}
		after := statement{`UPDATE idempotency_keys SET status = 201, headers = '{}', body = '{}' WHERE user_id = $1 AND key = $2`, []any{"raw", key}}
		statements = append(append(before, statements...), after)
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement.sql, statement.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkGet reads one session among many.
func BenchmarkGet(b *testing.B) {
	store, sessions := benched(b)
	for i := 0; b.Loop(); i++ {
		if _, err := store.Get(b.Context(), ports.Viewer{UserID: "bob"}, sessions[i%len(sessions)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListPage reads pages of fifty, one after the other through the whole list.
func BenchmarkListPage(b *testing.B) {
	store, _ := benched(b)
	request := ports.ListRequest{UserID: "bob", Limit: 50}
	for b.Loop() {
		list, err := store.List(b.Context(), request)
		if err != nil {
			b.Fatal(err)
		}
		request.After = list.Next
	}
}

func benched(b *testing.B) (store *postgres.Store, sessions []string) {
	b.Helper()
	store = postgres.NewStore(open(b), "call.events", func(...string) {})
	for range 500 {
		session, log := portstest.NewSession(b)
		_, err := store.Create(b.Context(), session, log)
		require.NoError(b, err)
		sessions = append(sessions, session.ID())
	}
	return store, sessions
}

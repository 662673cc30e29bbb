//go:build integration

package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// BenchmarkCreate is the store's rate of creating sessions, to be compared with that of BenchmarkCreateRaw of the same run.
func BenchmarkCreate(b *testing.B) {
	store := postgres.NewStore(open(b), "call.events", func(...string) {})
	b.SetParallelism(4)
	b.ResetTimer() // what starts the server is not the store's
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			session, log := portstest.NewSession(b)
			if _, err := store.Create(context.Background(), session, log); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkCreateRaw sends the same statements by pgx alone.
func BenchmarkCreateRaw(b *testing.B) {
	url, _ := testkit.Postgres(b).Database(b, "sessions", migrate)
	config, err := pgxpool.ParseConfig(url)
	require.NoError(b, err)
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	require.NoError(b, err)
	defer pool.Close()
	b.SetParallelism(4)
	b.ResetTimer() // what starts the server is not the store's
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := createRaw(context.Background(), b, pool); err != nil {
				b.Error(err)
			}
		}
	})
}

func createRaw(ctx context.Context, b *testing.B, pool *pgxpool.Pool) error {
	session, log := portstest.NewSession(b)
	s, e := session.Snapshot(), log[0]
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, statement := range []struct {
			sql  string
			args []any
		}{
			{`INSERT INTO sessions (id, owner_id, status, title, kind, provider, metadata, version, created_at, updated_at, disconnected, last_seq, last_event_id)
			  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, false, 1, $11)`,
				[]any{s.ID, s.OwnerID, string(s.Status), s.Title, string(s.Kind), s.Provider, string(s.Metadata), s.Version, s.CreatedAt, s.UpdatedAt, e.Event.EventID}},
			{`INSERT INTO members (session_id, user_id, role, session_created_at, since_seq) VALUES ($1, $2, $3, $6, 1), ($1, $4, $5, $6, 1)`,
				[]any{s.ID, s.Members[0].UserID, string(s.Members[0].Role), s.Members[1].UserID, string(s.Members[1].Role), s.CreatedAt}},
			{`INSERT INTO events (session_id, seq, event_id, type, digest, envelope, appended_at) VALUES ($1, 1, $2, $3, $4, $5, $6)`,
				[]any{s.ID, e.Event.EventID, string(e.Event.Type), e.Digest[:], string(e.JSON), e.AppendedAt}},
			{`INSERT INTO outbox (lane, partition_key, exchange, routing_key, message_id, headers, body) VALUES (0, $1, 'call.events', $2, $3, '{"session-id":"x"}', $4)`,
				[]any{s.ID, string(e.Event.Type), e.Event.EventID, []byte(e.JSON)}},
		} {
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

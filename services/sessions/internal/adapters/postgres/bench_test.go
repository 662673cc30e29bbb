//go:build integration

package postgres_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

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
	benchConns    = 8   // connections of each pool, and callers at once
	benchCreates  = 200 // between one look at the clock and the next
	benchReads    = 400
	benchPages    = 50
	benchSessions = 500 // that are read
	benchLimit    = 50  // sessions on a page
)

// made is a new session with the beginning of its log, ready to be stored.
type made struct {
	session *domain.Session
	log     []ports.Entry
}

// BenchmarkCreate creates sessions, by turns with the same SQL statements sent by pgx alone with values that are ready, on as many
// connections to the same database: one by one in a transaction ("raw"), and all in one message ("batched"). The metrics of-raw and of-batched
// are our rate as a part of theirs: "store" is given what it stores, as pgx is; "use case" makes it, event and its checks against the schema
// included; "http" is asked for it by a client in this process.
func BenchmarkCreate(b *testing.B) {
	url, _ := testkit.Postgres(b).Database(b, "sessions", migrate)
	raw, store := rawPool(b, url), postgres.NewStore(connect(b, url), "call.events", func(...string) {})
	create := app.CreateSession{Store: store, Keys: store, Clock: system.Clock{}, IDs: system.IDs{}}
	caller, spec := domain.Principal{UserID: "alice"}, spec()
	client := serve(b, httpapi.API{Create: create})
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
		{"http", false, func(ctx context.Context, _ made, _ string) error { return client.create(ctx, "") }},
		{"http with a key", true, func(ctx context.Context, _ made, key string) error { return client.create(ctx, key) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			keys := func(create func(ctx context.Context, m made, key string) error) func(ctx context.Context, m made) error {
				return func(ctx context.Context, m made) error { return create(ctx, m, m.log[0].Event.EventID) }
			}
			sides := []side{
				{"raw", keys(func(ctx context.Context, m made, key string) error { return createRaw(ctx, raw, m, key, c.keyed) })},
				{"batched", keys(func(ctx context.Context, m made, key string) error { return createBatched(ctx, raw, m, key, c.keyed) })},
				{"product", keys(c.ours)},
			}
			for _, s := range sides {
				s.round(b, testkit.NewMeasured("warming up"), benchCreates/4) // connections and prepared statements
			}
			measured := map[string]*testkit.Measured{}
			for _, s := range sides {
				measured[s.name] = testkit.NewMeasured(s.name)
			}
			for b.Loop() {
				for _, s := range sides {
					s.round(b, measured[s.name], benchCreates)
				}
			}
			ours := measured["product"]
			b.ReportMetric(ours.Rate(), "creates/s")
			b.ReportMetric(ours.Percentile(50), "p50-ms")
			for _, floor := range []string{"raw", "batched"} {
				b.ReportMetric(measured[floor].Rate(), floor+"/s")
				b.ReportMetric(ours.Rate()/measured[floor].Rate(), "of-"+floor)
			}
		})
	}
}

// side is one of those that create sessions by turns.
type side struct {
	name   string
	create func(ctx context.Context, m made) error
}

// round creates sessions from all callers at once; what they are made of is made before.
func (s side) round(b *testing.B, measured *testkit.Measured, count int) {
	b.Helper()
	work := make(chan made, count)
	for range count {
		session, log := portstest.NewSession(b)
		work <- made{session, log}
	}
	measured.Round(b, count, benchConns, func(int) error { return s.create(b.Context(), <-work) })
}

// BenchmarkGet reads one session among many, by turns with the same statement sent by pgx alone, which reads the rows and makes nothing of
// them. of-raw is as in BenchmarkCreate.
func BenchmarkGet(b *testing.B) {
	r := newReads(b)
	queries := make([]postgres.Query, len(r.ids))
	for i, id := range r.ids {
		queries[i] = postgres.GetQuery(b, ports.Viewer{UserID: reader}, id)
	}
	raw := func(n int) error { return r.read(b.Context(), queries[n%len(queries)]) }
	b.Run("store", func(b *testing.B) {
		compare(b, benchReads, "gets/s", raw, func(n int) error {
			_, err := r.store.Get(b.Context(), ports.Viewer{UserID: reader}, r.ids[n%len(r.ids)])
			return err
		})
	})
	b.Run("http", func(b *testing.B) {
		compare(b, benchReads, "gets/s", raw, func(n int) error { return r.client.get(b.Context(), "/"+r.ids[n%len(r.ids)]) })
	})
}

// BenchmarkListPage reads a page of fifty sessions, by turns with the same statement sent by pgx alone.
func BenchmarkListPage(b *testing.B) {
	r := newReads(b)
	request := ports.ListRequest{UserID: reader, Limit: benchLimit}
	query := postgres.ListQuery(b, request)
	raw := func(int) error { return r.read(b.Context(), query) }
	b.Run("store", func(b *testing.B) {
		compare(b, benchPages, "pages/s", raw, func(int) error {
			list, err := r.store.List(b.Context(), request)
			if err == nil && len(list.Items) != benchLimit {
				b.Errorf("a page has %d sessions", len(list.Items))
			}
			return err
		})
	})
	b.Run("http", func(b *testing.B) {
		compare(b, benchPages, "pages/s", raw, func(int) error { return r.client.get(b.Context(), "?limit=50") })
	})
}

// compare measures rounds of ours by turns with theirs.
func compare(b *testing.B, round int, rate string, theirs, ours func(n int) error) {
	b.Helper()
	testkit.NewMeasured("warming up").Round(b, round, benchConns, theirs)
	testkit.NewMeasured("warming up").Round(b, round, benchConns, ours)
	floor, product := testkit.NewMeasured("raw"), testkit.NewMeasured("product")
	for b.Loop() {
		floor.Round(b, round, benchConns, theirs)
		product.Round(b, round, benchConns, ours)
	}
	b.ReportMetric(product.Rate(), rate)
	b.ReportMetric(product.Percentile(50), "p50-ms")
	b.ReportMetric(floor.Rate(), "raw/s")
	b.ReportMetric(product.Rate()/floor.Rate(), "of-raw")
}

// reader is a member of the sessions that are read.
const reader = "bob"

// reads are sessions to be read, and ways to read them.
type reads struct {
	ids    []string
	store  *postgres.Store
	client *client
	raw    *pgxpool.Pool
}

func newReads(b *testing.B) reads {
	b.Helper()
	url, _ := testkit.Postgres(b).Database(b, "sessions", migrate)
	r := reads{store: postgres.NewStore(connect(b, url), "call.events", func(...string) {}), raw: rawPool(b, url)}
	for range benchSessions {
		session, log := portstest.NewSession(b)
		_, err := r.store.Create(b.Context(), session, log)
		require.NoError(b, err)
		r.ids = append(r.ids, session.ID())
	}
	r.client = serve(b, httpapi.API{
		Get: app.GetSession{Store: r.store}, List: app.ListSessions{Store: r.store, Cursors: r.store, Journal: r.store},
	})
	return r
}

// read has pgx alone send a query, and reads all of its rows.
func (r reads) read(ctx context.Context, q postgres.Query) error {
	rows, err := r.raw.Query(ctx, q.SQL, q.Args...)
	if err != nil {
		return err
	}
	found := 0
	for rows.Next() {
		found += len(rows.RawValues())
	}
	if rows.Err() == nil && found == 0 {
		return errors.New("nothing is found")
	}
	return rows.Err()
}

//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

const (
	grownEvents = 3    // of each session
	grownOfUser = 20   // sessions that a user has, and so on their page
	grownInUse  = 1000 // sessions that are read and changed; they lie evenly among all
	grownRound  = 200
)

// The statements that store many sessions at once, each with its owner, another member, a participant and a log, as time would have brought
// them: ids and times grow with n. A user's sessions lie evenly among all.
var growth = []string{
	`INSERT INTO sessions (id, owner_id, status, title, kind, provider, metadata, version, created_at, updated_at, last_seq, last_event_id,
	                       provider_room_id, provider_participant_id, provider_call_id, started_at)
	 SELECT pg_temp.id(n), pg_temp.owner(n, @sessions), 'active', 'Weekly', 'video', 'livekit', '{"tag":"stored"}', 3, pg_temp.at(n), pg_temp.at(n),
	        @events, pg_temp.event(n, @events), 'call-' || CAST(pg_temp.id(n) AS text), 'alice#default', 'RM_1', pg_temp.at(n)
	   FROM generate_series(0, CAST(@sessions AS bigint) - 1) n`,
	`INSERT INTO members (session_id, user_id, role, session_created_at)
	 SELECT pg_temp.id(n), user_id, role, pg_temp.at(n)
	   FROM generate_series(0, CAST(@sessions AS bigint) - 1) n, LATERAL (VALUES (pg_temp.owner(n, @sessions), 'host'), ('guest' || CAST(n AS text), 'participant')) m (user_id, role)`,
	`INSERT INTO participants (session_id, identity, user_id, presence, joined_at, open_tracks)
	 SELECT pg_temp.id(n), pg_temp.owner(n, @sessions) || '#default', pg_temp.owner(n, @sessions), 'present', pg_temp.at(n), '[]'
	   FROM generate_series(0, CAST(@sessions AS bigint) - 1) n`,
	`INSERT INTO events (session_id, seq, event_id, type, digest, envelope, appended_at, logged_at)
	 SELECT pg_temp.id(n), seq, pg_temp.event(n, seq), 'call.updated', decode(repeat('00', 32), 'hex'), CAST(@envelope AS json), pg_temp.at(n), pg_temp.at(n)
	   FROM generate_series(0, CAST(@sessions AS bigint) - 1) n, generate_series(1, CAST(@events AS bigint)) seq`,
}

// growthFunctions are written so that PostgreSQL puts their bodies in the place of calls.
const growthFunctions = `
CREATE FUNCTION pg_temp.id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT CAST(lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0') AS uuid) $$;
CREATE FUNCTION pg_temp.event(n bigint, seq bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT CAST(lpad(to_hex(1700000000000 + n), 12, '0') || '7000a' || lpad(to_hex(seq), 3, '0') || lpad(to_hex(n), 12, '0') AS uuid) $$;
CREATE FUNCTION pg_temp.owner(n bigint, sessions bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT 'user' || CAST(n % (sessions / 20) AS text) $$;
CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
	$$ SELECT timestamptz '2026-01-01' + n * interval '1 second' $$;`

// grown is a database with that many sessions stored.
type grown struct {
	sessions int
	store    *postgres.Store
}

// grow makes a database, stores sessions in it and has PostgreSQL do what it otherwise does in the background.
func grow(b *testing.B, sessions int) grown {
	b.Helper()
	appURL, _ := testkit.Postgres(b).Database(b, "sessions", migrate)
	u, err := url.Parse(appURL)
	require.NoError(b, err)
	admin := testkit.Postgres(b).AdminURL(strings.TrimPrefix(u.Path, "/"))
	session, _ := portstest.NewSession(b)
	drafts, err := session.Patch(domain.Patch{Title: events.Some("Weekly")}, portstest.Alice, portstest.Start)
	require.NoError(b, err)
	args := pgx.NamedArgs{
		"sessions": sessions, "events": grownEvents, "envelope": string(portstest.Seal(b, session.ID(), drafts, portstest.Start)[0].JSON),
	}
	var filling errgroup.Group
	for _, statement := range growth {
		filling.Go(func() error { return asAdmin(b.Context(), admin, statement, args) })
	}
	require.NoError(b, filling.Wait())
	require.NoError(b, asAdmin(b.Context(), admin, "VACUUM (ANALYZE)", nil))
	require.NoError(b, asAdmin(b.Context(), admin, "CHECKPOINT", nil))
	return grown{sessions: sessions, store: postgres.NewStore(connect(b, appURL), "call.events", func(...string) {})}
}

// asAdmin executes a statement where no trigger, and so no foreign key, is looked after.
func asAdmin(ctx context.Context, url, statement string, args pgx.NamedArgs) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Nothing is in hand.
	for _, first := range []string{"SET session_replication_role = replica", growthFunctions} {
		if _, err := conn.Exec(ctx, first); err != nil {
			return err
		}
	}
	if args == nil {
		_, err = conn.Exec(ctx, statement)
	} else {
		_, err = conn.Exec(ctx, statement, args)
	}
	return err
}

// id returns the id of one of the sessions in use, its number among all, and its owner.
func (g grown) id(n int) (id string, owner string) {
	number := n % grownInUse * (g.sessions / grownInUse)
	text := fmt.Sprintf("%012x70008000%012x", 1_700_000_000_000+number, number)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-"), fmt.Sprintf("user%d", number%(g.sessions/grownOfUser))
}

// BenchmarkGrowth does the same with a thousand, a hundred thousand and a million sessions stored, by turns. The metrics are microseconds of
// each, from eight callers at once, and the larger databases' as multiples of the smallest one's. What is read and changed is a thousand
// sessions wherever they lie: so much is in use, however much is stored.
func BenchmarkGrowth(b *testing.B) {
	var all []grown
	for _, sessions := range []int{1_000, 100_000, 1_000_000} {
		all = append(all, grow(b, sessions))
	}
	var changes atomic.Int64 // each makes another title
	for _, c := range []struct {
		name  string
		round int
		do    func(ctx context.Context, g grown, n int) error
	}{
		{"create", grownRound, func(ctx context.Context, g grown, _ int) error {
			session, log := portstest.NewSession(b)
			_, err := g.store.Create(ctx, session, log)
			return err
		}},
		{"get", grownInUse, func(ctx context.Context, g grown, n int) error {
			id, owner := g.id(n)
			_, err := g.store.Get(ctx, ports.Viewer{UserID: owner}, id)
			return err
		}},
		{"list", grownRound, func(ctx context.Context, g grown, n int) error {
			_, owner := g.id(n)
			list, err := g.store.List(ctx, ports.ListRequest{UserID: owner, Limit: grownOfUser})
			if err == nil && len(list.Items) != grownOfUser {
				err = fmt.Errorf("%s has %d sessions", owner, len(list.Items))
			}
			return err
		}},
		{"replay", grownInUse, func(ctx context.Context, g grown, n int) error {
			id, owner := g.id(n)
			return replay(ctx, g.store, ports.Viewer{UserID: owner}, id)
		}},
		{"append", grownRound, func(ctx context.Context, g grown, n int) error {
			id, owner := g.id(n)
			return retitle(ctx, b, g.store, ports.Viewer{UserID: owner}, id, fmt.Sprint("Weekly ", changes.Add(1)))
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			measured := make([]*testkit.Measured, len(all))
			for i, g := range all {
				measured[i] = testkit.NewMeasured(fmt.Sprint(g.sessions))
				// What is in use comes into memory, and for writes into the log of PostgreSQL, once.
				testkit.NewMeasured("warming up").Round(b, grownInUse, benchConns, func(n int) error { return c.do(b.Context(), g, n) })
			}
			for b.Loop() {
				for i, g := range all {
					measured[i].Round(b, c.round, benchConns, func(n int) error { return c.do(b.Context(), g, n) })
				}
			}
			for i, size := range []string{"1k", "100k", "1M"} {
				b.ReportMetric(1e6/measured[i].Rate(), size+"-us")
				if i > 0 {
					b.ReportMetric(measured[0].Rate()/measured[i].Rate(), size+"-of-1k")
				}
			}
		})
	}
}

// replay reads a log as a stream does that begins at its beginning.
func replay(ctx context.Context, store *postgres.Store, viewer ports.Viewer, id string) error {
	if _, err := store.Locate(ctx, viewer, id, ""); err != nil {
		return err
	}
	log, err := store.Read(ctx, id, 0, 64)
	if err == nil && len(log) < grownEvents {
		err = errors.New("the log is cut off")
	}
	return err
}

// retitle changes a session, which appends an event to its log.
func retitle(ctx context.Context, b *testing.B, store *postgres.Store, viewer ports.Viewer, id, title string) error {
	b.Helper()
	_, err := store.Update(ctx, viewer, id, func(session *domain.Session) ([]ports.Entry, error) {
		actor := events.Actor{Type: events.ActorUser, ID: viewer.UserID}
		now := time.Now().UTC().Truncate(time.Microsecond)
		drafts, err := session.Patch(domain.Patch{Title: events.Some(title)}, actor, now)
		if err != nil {
			return nil, err
		}
		if len(drafts) == 0 {
			return nil, errors.New("nothing changes")
		}
		return portstest.Seal(b, id, drafts, now), nil
	})
	return err
}

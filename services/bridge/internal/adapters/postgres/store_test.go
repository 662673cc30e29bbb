//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres/migrations"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
	"github.com/callplane/callplane/services/bridge/internal/ports/portstest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func migrate(url string) error {
	return libpostgres.Migrate(context.Background(), url, migrations.Files, migrations.Dir)
}

// database returns a migrated database, as the service's own role sees it.
func database(t *testing.T) *gorm.DB {
	t.Helper()
	url, _ := testkit.Postgres(t).Database(t, "bridge", migrate)
	db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{ApplicationName: "test"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
	return db
}

func open(t *testing.T) portstest.Store {
	db := database(t)
	s := postgres.NewStore(db, func(*outbox.Added) {})
	return portstest.Store{
		Mappings: s, Reader: s, Old: s, Deletions: s, PermissionSyncs: s, RoomChecks: s, ReconcileLease: s, MappingSurvey: s,
		Published: func(t testing.TB, sessionID string) []string {
			var ids []string
			require.NoError(t, db.Raw(`SELECT message_id FROM outbox WHERE partition_key = ? ORDER BY id`, sessionID).Scan(&ids).Error)
			return ids
		},
	}
}

func TestMappings(t *testing.T)        { portstest.Mappings(t, open) }
func TestRoomDeletions(t *testing.T)   { portstest.RoomDeletions(t, open) }
func TestPermissionSyncs(t *testing.T) { portstest.PermissionSyncs(t, open) }
func TestRoomChecks(t *testing.T)      { portstest.RoomChecks(t, open) }
func TestReconciliation(t *testing.T)  { portstest.Reconciliation(t, open) }

func TestMigrationHoldsTheOutboxSchema(t *testing.T) {
	sql, err := os.ReadFile("migrations/0001_bridge.sql")
	require.NoError(t, err)
	require.Contains(t, string(sql), outbox.Schema)
}

func TestEventsAreInTheOutboxInOrder(t *testing.T) {
	db := database(t)
	s := postgres.NewStore(db, func(*outbox.Added) {})
	const session = "0198a3c0-5f00-7000-8000-00000000000a"
	var want []events.Sealed
	require.NoError(t, s.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		m, _, err := m.Admit(domain.GrantRequest{UserID: "alice", Role: events.RoleHost, SessionVersion: 1})
		require.NoError(t, err)
		at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
		m, result := m.Apply(domain.ParticipantJoined{
			Observation: domain.Observation{Room: domain.RoomRef{Name: m.RoomName(), SID: "RM_1", CreatedAt: at}, At: at},
			Connection:  domain.Connection{Identity: "alice#default", SID: "PA_1", JoinedAt: at},
		}, domain.Moment{Now: at, Policy: domain.Policy{Grace: time.Minute}})
		for _, e := range result.Events {
			sealed, err := events.Seal(e.ID, session, e.Draft)
			require.NoError(t, err)
			want = append(want, sealed)
		}
		return ports.Change{Mapping: m, Events: want}, nil
	}))
	require.Len(t, want, 3)
	type row struct {
		Exchange, RoutingKey, MessageID, PartitionKey, Session string
		Body                                                   []byte
	}
	var rows []row
	require.NoError(t, db.Raw(`SELECT exchange, routing_key, message_id, partition_key, headers->>'session-id' AS session, body FROM outbox ORDER BY id`).Scan(&rows).Error)
	require.Len(t, rows, len(want))
	for n, e := range want {
		require.Equal(t, row{
			Exchange: "call.events", RoutingKey: string(e.Envelope().Type), MessageID: e.Envelope().EventID,
			PartitionKey: session, Session: session, Body: e.JSON(),
		}, rows[n])
	}
}

// TestChangesStayWithinTheirPage has a participant join and leave many times: no index has to be
// written for that, so that the cost does not grow.
func TestChangesStayWithinTheirPage(t *testing.T) {
	db := database(t)
	s := postgres.NewStore(db, func(*outbox.Added) {})
	session, err := events.NewID()
	require.NoError(t, err)
	require.NoError(t, s.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		m, _, err := m.Admit(domain.GrantRequest{UserID: "alice", Role: events.RoleHost, SessionVersion: 1})
		return ports.Change{Mapping: m}, err
	}))
	const webhooks = 200
	for n := range webhooks {
		receive(t, s, session, n)
	}
	testkit.Eventually(t, time.Minute, func(context.Context) error { // The server counts a moment later.
		for _, table := range []string{"mappings", "participants"} {
			var changed, within int
			err := db.Raw(`SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = ?`, table).Row().Scan(&changed, &within)
			if err == nil && (changed < webhooks || within < changed*9/10) {
				err = fmt.Errorf("of %d changes of %s only %d stayed within their page", changed, table, within)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestForgetReceipts(t *testing.T) {
	s := postgres.NewStore(database(t), func(*outbox.Added) {})
	now := time.Now()
	for n, id := range []string{"EV_1", "EV_2", "EV_3", "EV_4"} {
		_, err := s.Receive(t.Context(), ports.Receipt{ID: id, Kind: "k", ReceivedAt: now.Add(-time.Duration(n) * time.Hour)}, nil)
		require.NoError(t, err)
	}
	for _, want := range []int{2, 1, 0} {
		forgotten, err := s.ForgetReceipts(t.Context(), now.Add(-30*time.Minute), 2)
		require.NoError(t, err)
		require.Equal(t, want, forgotten)
	}
	reception, err := s.Receive(t.Context(), ports.Receipt{ID: "EV_1", Kind: "k", ReceivedAt: now}, nil)
	require.NoError(t, err)
	require.Equal(t, ports.Repeated, reception)
}

func TestUnreachableDatabaseIsUnavailable(t *testing.T) {
	db, err := libpostgres.Open(t.Context(), "postgres://bridge@127.0.0.1:1/bridge?sslmode=disable", libpostgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
	s := postgres.NewStore(db, func(*outbox.Added) {})
	leave := func(m domain.Mapping) (ports.Change, error) { return ports.Change{Mapping: m}, nil }
	require.ErrorIs(t, s.ChangeSession(t.Context(), "0198a3c0-5f00-7000-8000-00000000000a", leave), ports.ErrUnavailable)
	_, err = s.Receive(t.Context(), ports.Receipt{ID: "EV_1", Kind: "k"}, leave)
	require.ErrorIs(t, err, ports.ErrUnavailable)
	_, err = s.Claim(t.Context(), 1, time.Minute)
	require.ErrorIs(t, err, ports.ErrUnavailable)
}

func TestServiceRoleHasNoDDL(t *testing.T) {
	err := database(t).Exec(`CREATE TABLE x (y int)`).Error
	require.Error(t, err)
	require.True(t, strings.Contains(err.Error(), "42501"), err.Error())
}

//go:build integration

package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// BenchmarkWebhook compares receiving a webhook that changes a mapping and makes an event with one
// commit of a single row on the same server.
func BenchmarkWebhook(b *testing.B) {
	url, _ := testkit.Postgres(b).Database(b, "bridge", migrate)
	db, err := libpostgres.Open(b.Context(), url, libpostgres.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, libpostgres.Close(db)) })
	s := postgres.NewStore(db, func(*outbox.Added) {})

	b.Run("one commit", func(b *testing.B) {
		run, err := events.NewID()
		require.NoError(b, err)
		for n := range b.N {
			require.NoError(b, db.Exec(`INSERT INTO webhook_receipts VALUES (?, 'k', '', now())`, fmt.Sprintf("%s-%d", run, n)).Error)
		}
	})
	b.Run("webhook", func(b *testing.B) {
		session, err := events.NewID()
		require.NoError(b, err)
		require.NoError(b, s.ChangeSession(b.Context(), session, func(m domain.Mapping) (ports.Change, error) {
			m, _, err := m.Admit(domain.GrantRequest{UserID: "alice", Role: events.RoleHost, SessionVersion: 1})
			return ports.Change{Mapping: m}, err
		}))
		for n := range b.N {
			receive(b, s, session, n)
		}
	})
}

// receive has alice join, or leave again.
func receive(b testing.TB, s *postgres.Store, session string, n int) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	observed := domain.Observation{Room: domain.RoomRef{Name: domain.RoomName(session), SID: "RM_1", CreatedAt: at}, At: at}
	connection := domain.Connection{Identity: "alice#default", SID: fmt.Sprintf("PA_%d", n/2), JoinedAt: at}
	var fact domain.Fact = domain.ParticipantJoined{Observation: observed, Connection: connection}
	if n%2 == 1 {
		fact = domain.ParticipantLeft{Observation: observed, Connection: connection, Reason: events.LeaveClientInitiated}
	}
	receipt := ports.Receipt{ID: fmt.Sprintf("EV_%s_%d", session, n), Kind: "k", RoomName: domain.RoomName(session), ReceivedAt: at}
	reception, err := s.Receive(b.Context(), receipt, func(m domain.Mapping) (ports.Change, error) {
		changed, result := m.Apply(fact, domain.Moment{Now: at, Policy: domain.Policy{Grace: time.Minute}})
		c := ports.Change{Mapping: changed}
		for _, e := range result.Events {
			sealed, err := events.Seal(e.ID, session, e.Draft)
			if err != nil {
				return c, err
			}
			c.Events = append(c.Events, sealed)
		}
		return c, nil
	})
	require.NoError(b, err)
	require.Equal(b, ports.Stored, reception)
}

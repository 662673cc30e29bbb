//go:build integration

package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/outbox"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/postgres/migrations"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// at has nanoseconds, as the provider's and the machine's clocks have them, and the database has
// not.
var at = time.Date(2026, 11, 23, 8, 0, 0, 123_456_789, time.UTC)

// twoReplicas have a mapping with Alice in the call, which the first one has in its cache.
func twoReplicas(t *testing.T) (a, b *Store, session string) {
	t.Helper()
	url, _ := testkit.Postgres(t).Database(t, "bridge", func(url string) error {
		return libpostgres.Migrate(context.Background(), url, migrations.Files, migrations.Dir)
	})
	open := func() *Store {
		db, err := libpostgres.Open(t.Context(), url, libpostgres.Options{MaxOpenConns: 8})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, libpostgres.Close(db)) })
		return NewStore(db, func(*outbox.Added) {})
	}
	a, b = open(), open()
	session, err := events.NewID()
	require.NoError(t, err)
	for _, user := range []string{"alice", "bob"} {
		require.NoError(t, a.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
			m, _, err := m.Admit(domain.GrantRequest{UserID: user, Role: events.RoleHost, SessionVersion: 1})
			return ports.Change{Mapping: m}, err
		}))
	}
	require.Equal(t, ports.Stored, receiveFact(t, a, session, "EV_joined", joinedAs(session, "alice")))
	_, _, known := a.cache.Recall(domain.RoomName(session))
	require.True(t, known)
	return a, b, session
}

func sightingOf(session string) domain.Observation {
	return domain.Observation{Room: domain.RoomRef{Name: domain.RoomName(session), SID: "RM_1", CreatedAt: at}, At: at.Add(time.Second)}
}

func connectionOf(user string) domain.Connection {
	return domain.Connection{Identity: user + "#default", SID: "PA_" + user, JoinedAt: at}
}

// back is a join with a connection of its own.
func back(session, user string) domain.Fact {
	return domain.ParticipantJoined{
		Observation: sightingOf(session), Connection: domain.Connection{Identity: user + "#default", SID: "PA_again", JoinedAt: at.Add(time.Second)},
	}
}

func joinedAs(session, user string) domain.Fact {
	return domain.ParticipantJoined{Observation: sightingOf(session), Connection: connectionOf(user)}
}

func lost(session, user string) domain.Fact {
	return domain.ParticipantLeft{Observation: sightingOf(session), Connection: connectionOf(user), Reason: events.LeaveConnectionTimeout}
}

func published(session string, n int) domain.Fact {
	return domain.TrackPublished{
		Observation: sightingOf(session), Connection: connectionOf("alice"),
		Track: domain.Track{SID: fmt.Sprint("TR_", n), Kind: events.TrackAudio, Source: events.SourceMicrophone, PublishedAt: at},
	}
}

func receiptOf(session, id string) ports.Receipt {
	return ports.Receipt{ID: id, Kind: "k", RoomName: domain.RoomName(session), ReceivedAt: at}
}

func applying(fact domain.Fact) ports.Decide {
	return func(m domain.Mapping) (ports.Change, error) {
		changed, result := m.Apply(fact, domain.Moment{Now: at, Policy: domain.Policy{Grace: time.Minute}})
		c := ports.Change{Mapping: changed}
		for _, e := range result.Events {
			sealed, err := events.Seal(e.ID, m.SessionID(), e.Draft)
			if err != nil {
				return c, err
			}
			c.Events = append(c.Events, sealed)
		}
		return c, nil
	}
}

func receiveFact(t *testing.T, s *Store, session, id string, fact domain.Fact) ports.Reception {
	t.Helper()
	reception, err := s.Receive(t.Context(), receiptOf(session, id), applying(fact))
	require.NoError(t, err)
	return reception
}

// receiveUnchanged receives a webhook without reading the mapping.
func receiveUnchanged(t *testing.T, s *Store, session, id string, fact domain.Fact) ports.Reception {
	t.Helper()
	reception, err := s.receiveIfUnchanged(t.Context(), receiptOf(session, id), applying(fact))
	require.NoError(t, err)
	return reception
}

// requireCacheAgrees compares a mapping in the cache with the one that is stored.
func requireCacheAgrees(t *testing.T, s *Store, session string) {
	t.Helper()
	stored, known, err := s.Find(t.Context(), session)
	require.NoError(t, err)
	require.True(t, known)
	if found, state, known := s.cache.Recall(domain.RoomName(session)); known && found.revision == stored.Revision() {
		require.Equal(t, stored.State(), state)
	}
}

func count(t *testing.T, s *Store, table string) int {
	t.Helper()
	var rows int
	require.NoError(t, s.db.Raw("SELECT count(*) FROM "+table).Row().Scan(&rows))
	return rows
}

func TestReceiveWithoutReadingAnUnchangedMapping(t *testing.T) {
	a, _, session := twoReplicas(t)
	for n, fact := range []domain.Fact{
		published(session, 1), joinedAs(session, "bob"), lost(session, "bob"), back(session, "bob"), lost(session, "alice"),
		published(session, 1), domain.RoomFinished{Observation: sightingOf(session)},
	} {
		require.Equal(t, ports.Stored, receiveUnchanged(t, a, session, fmt.Sprint("EV_", n), fact))
		_, _, known := a.cache.Recall(domain.RoomName(session))
		require.True(t, known)
		requireCacheAgrees(t, a, session)
	}
	require.Equal(t, 8, count(t, a, "webhook_receipts"))
}

func TestRepeatedWebhookOfAnUnchangedMapping(t *testing.T) {
	a, b, session := twoReplicas(t)
	require.Equal(t, ports.Stored, receiveUnchanged(t, a, session, "EV_1", published(session, 1)))
	outbox := count(t, a, "outbox")
	for _, s := range []*Store{a, b} {
		require.Empty(t, receiveUnchanged(t, s, session, "EV_1", published(session, 2)))
		require.Equal(t, ports.Repeated, receiveFact(t, s, session, "EV_1", published(session, 2)))
	}
	require.Equal(t, outbox, count(t, a, "outbox"))
	require.Equal(t, ports.Stored, receiveUnchanged(t, a, session, "EV_2", published(session, 2)), "it knows the mapping as before")
}

func TestChangedMappingIsReadAgain(t *testing.T) {
	a, b, session := twoReplicas(t)
	require.Equal(t, ports.Stored, receiveFact(t, b, session, "EV_1", lost(session, "alice")))
	receipts, outbox := count(t, a, "webhook_receipts"), count(t, a, "outbox")
	require.Empty(t, receiveUnchanged(t, a, session, "EV_2", back(session, "alice")))
	require.Equal(t, receipts, count(t, a, "webhook_receipts"), "nothing is done")
	require.Equal(t, outbox, count(t, a, "outbox"), "nothing is done")
	require.Equal(t, ports.Stored, receiveFact(t, a, session, "EV_2", back(session, "alice")))
	m, _, err := a.Find(t.Context(), session)
	require.NoError(t, err)
	require.Equal(t, domain.Present, m.State().Participants["alice#default"].Presence)
	require.Greater(t, count(t, a, "outbox"), outbox, "the reconnection is published, as the loss was")
}

// TestRestoredFromBackup gives the revision of a change that the database has lost to another
// change.
func TestRestoredFromBackup(t *testing.T) {
	a, b, session := twoReplicas(t)
	before, _, err := a.Find(t.Context(), session)
	require.NoError(t, err)
	require.Equal(t, ports.Stored, receiveUnchanged(t, a, session, "EV_1", published(session, 1)))
	for _, statement := range []string{
		"DELETE FROM tracks", "DELETE FROM outbox WHERE routing_key = 'call.track.published'", "DELETE FROM webhook_receipts WHERE webhook_id = 'EV_1'",
		fmt.Sprint("UPDATE mappings SET updated_at = clock_timestamp(), revision = ", before.Revision()),
	} {
		require.NoError(t, a.db.Exec(statement).Error, statement)
	}
	require.Equal(t, ports.Stored, receiveFact(t, b, session, "EV_2", joinedAs(session, "bob")))
	require.Empty(t, receiveUnchanged(t, a, session, "EV_3", published(session, 2)))
	require.Equal(t, ports.Stored, receiveFact(t, a, session, "EV_3", published(session, 2)))
	m, _, err := a.Find(t.Context(), session)
	require.NoError(t, err)
	require.Equal(t, domain.Present, m.State().Participants["bob#default"].Presence)
	require.Len(t, m.State().Participants["alice#default"].Tracks, 1)
}

func TestDeletedMappingIsNotServedFromTheCache(t *testing.T) {
	a, _, session := twoReplicas(t)
	require.NoError(t, a.db.Exec("DELETE FROM mappings").Error)
	require.Empty(t, receiveUnchanged(t, a, session, "EV_1", published(session, 1)))
	require.Equal(t, ports.UnknownRoom, receiveFact(t, a, session, "EV_1", published(session, 1)))
}

// TestConcurrentReplicas gives every webhook to both replicas, in any order, while the mapping is
// also changed through either: each webhook has its effect once.
func TestConcurrentReplicas(t *testing.T) {
	a, b, session := twoReplicas(t)
	const webhooks, lessons = 150, 20
	before := count(t, a, "outbox")
	var running errgroup.Group
	stored := make([][]string, 2)
	for r, s := range []*Store{a, b} {
		running.Go(func() error {
			for _, n := range rand.Perm(webhooks) {
				id := fmt.Sprint("EV_", n)
				reception, err := s.Receive(t.Context(), receiptOf(session, id), applying(published(session, n)))
				if err != nil {
					return err
				}
				if reception == ports.Stored {
					stored[r] = append(stored[r], id)
				}
			}
			return nil
		})
		running.Go(func() error {
			for n := range lessons {
				err := s.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
					return ports.Change{Mapping: m.Learn(int64(n+2), domain.Member{UserID: fmt.Sprint("user-", r, n), Role: events.RoleViewer, Version: int64(n + 2)})}, nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, running.Wait())
	require.Len(t, append(stored[0], stored[1]...), webhooks)
	require.Equal(t, before+webhooks, count(t, a, "outbox"))
	require.Equal(t, webhooks+1, count(t, a, "webhook_receipts"))
	m, _, err := a.Find(t.Context(), session)
	require.NoError(t, err)
	require.Len(t, m.State().Participants["alice#default"].Tracks, webhooks)
	require.Len(t, m.State().Members, 2+2*lessons)
	requireCacheAgrees(t, a, session)
	requireCacheAgrees(t, b, session)
}

//go:build integration

package wiring

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/captures"
)

func TestItRunsWithoutBrokerAndLiveKit(t *testing.T) {
	s := &service{t: t, port: testkit.FreePort(t), log: &buffer{}}
	url, ownerURL := testkit.Postgres(t).Database(t, Service, nil)
	s.open(ownerURL)
	s.run("DATABASE_URL="+url, "MIGRATE_DATABASE_URL="+ownerURL)
	s.waitReady(`"degraded":["rabbitmq","livekit"]`)
	for _, body := range captures.Bodies(t, "clean", "somebody-elses", "#default") {
		status, answer := s.post(body, s.livekit.APISecret)
		require.Equal(t, http.StatusOK, status, answer)
	}
	require.EqualValues(t, 8, s.count(`SELECT count(*) FROM webhook_receipts`))
}

func TestItWaitsForPostgres(t *testing.T) {
	database := testkit.OwnPostgres(t)
	if database.Container == nil {
		t.Skip("the PostgreSQL server is not ours to stop (TEST_POSTGRES_URL)")
	}
	s := &service{t: t, port: testkit.FreePort(t), log: &buffer{}}
	url, ownerURL := database.Database(t, Service, nil)
	database.Stop(t)
	s.run("DATABASE_URL="+url, "MIGRATE_DATABASE_URL="+ownerURL)
	status, answer := s.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status, answer)
	require.Contains(t, answer, `"unavailable":["postgres"]`)
	status, _ = s.get("/livez")
	require.Equal(t, http.StatusOK, status)
	status, answer = s.post(captures.Bodies(t, "empty", "call-x", "")[0], s.livekit.APISecret)
	require.Equal(t, http.StatusServiceUnavailable, status, answer)
	database.Start(t)
	s.waitReady("degraded")
}

func TestItStopsOnAnotherNumberOfPartitions(t *testing.T) {
	s := &service{t: t, port: testkit.FreePort(t), log: &buffer{}, vhost: testkit.Rabbit(t).Vhost(t)}
	newSessions(t, s.vhost)
	url, ownerURL := testkit.Postgres(t).Database(t, Service, nil)
	s.run("DATABASE_URL="+url, "MIGRATE_DATABASE_URL="+ownerURL, "AMQP_URL="+s.vhost.URL(topology.UserBridge),
		fmt.Sprintf("EVENT_PARTITIONS=%d", partitions+1))
	select {
	case ended := <-s.app.Wait():
		require.Equal(t, 1, ended.ExitCode)
	case <-time.After(time.Minute):
		t.Fatal("the service runs on")
	}
	require.Contains(t, s.log.String(), "set EVENT_PARTITIONS to the one in use")
}

func TestTheGraphStopsWhileEverythingIsAway(t *testing.T) {
	s := &service{t: t, port: testkit.FreePort(t), log: &buffer{}}
	s.run()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, s.app.Stop(ctx))
}

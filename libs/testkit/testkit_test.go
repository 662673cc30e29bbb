//go:build integration

package testkit_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var migrations atomic.Int32

func migrate(url string) error {
	migrations.Add(1)
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.Exec("CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY, name text)")
	return err
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

func TestDatabaseHasTheServicesRoles(t *testing.T) {
	t.Parallel()
	pg := testkit.Postgres(t)
	appURL, ownerURL := pg.Database(t, "sessions", migrate)
	app, owner := connect(t, appURL), connect(t, ownerURL)

	_, err := app.Exec(t.Context(), "INSERT INTO things (name) VALUES ('a')")
	require.NoError(t, err, "the service's role writes rows of the owner's table")
	_, err = app.Exec(t.Context(), "CREATE TABLE mine ()")
	requireState(t, err, "42501")
	_, err = app.Exec(t.Context(), "DROP TABLE things")
	requireState(t, err, "42501")
	_, err = owner.Exec(t.Context(), "ALTER TABLE things ADD note text")
	require.NoError(t, err, "the owner's role changes the schema")

	other, _ := pg.Database(t, "sessions", migrate)
	var count int
	require.NoError(t, connect(t, other).QueryRow(t.Context(), "SELECT count(*) FROM things").Scan(&count))
	assert.Zero(t, count, "another test's database is another one")
	assert.EqualValues(t, 1, migrations.Load(), "migrated once a binary")

	bridge, _ := pg.Database(t, "bridge", nil)
	config, err := pgx.ParseConfig(appURL)
	require.NoError(t, err)
	stranger, err := pgx.ParseConfig(bridge)
	require.NoError(t, err)
	stranger.Database = config.Database
	_, err = pgx.ConnectConfig(t.Context(), stranger)
	requireState(t, err, "42501")
}

func requireState(t *testing.T, err error, state string) {
	t.Helper()
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Equal(t, state, pgErr.Code)
}

func TestVhostHasTheDefinitionsPermissions(t *testing.T) {
	t.Parallel()
	vhost := testkit.Rabbit(t).Vhost(t)
	var got []struct {
		User, Vhost, Configure, Write, Read string
	}
	vhost.Broker.Management.Get(t, "/api/vhosts/"+vhost.Name+"/permissions", &got)
	var root []struct {
		User, Vhost, Configure, Write, Read string
	}
	vhost.Broker.Management.Get(t, "/api/vhosts/%2F/permissions", &root)
	require.NotEmpty(t, root)
	for i := range root {
		root[i].Vhost = vhost.Name
	}
	assert.ElementsMatch(t, root, got)
	var topics []map[string]any
	vhost.Broker.Management.Get(t, "/api/vhosts/"+vhost.Name+"/topic-permissions", &topics)
	var rootTopics []map[string]any
	vhost.Broker.Management.Get(t, "/api/vhosts/%2F/topic-permissions", &rootTopics)
	require.NotEmpty(t, rootTopics)
	for i := range rootTopics {
		rootTopics[i]["vhost"] = vhost.Name
	}
	assert.ElementsMatch(t, rootTopics, topics)
	assert.Empty(t, vhost.Queues(t))
	assert.Empty(t, vhost.Connections(t))
}

func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	vhost := testkit.Rabbit(t).Vhost(t)
	cut, kept := make(chan *amqp.Error, 1), make(chan *amqp.Error, 1)
	for user, closed := range map[string]chan *amqp.Error{"bridge": cut, "sessions": kept} {
		conn, err := amqp.Dial(vhost.URL(user))
		require.NoError(t, err)
		conn.NotifyClose(closed)
		t.Cleanup(func() { _ = conn.Close() })
	}
	vhost.CutConnections(t, "bridge")
	reason := <-cut
	require.NotNil(t, reason, "the broker said why")
	assert.Equal(t, amqp.ConnectionForced, reason.Code)
	assert.Empty(t, kept, "the other user's connection lives on")
}

func TestOwnServersStopAndStart(t *testing.T) {
	t.Parallel()
	pg := testkit.OwnPostgres(t)
	_, err := connect(t, pg.AdminURL("postgres")).Exec(t.Context(), "CREATE TABLE kept ()")
	require.NoError(t, err)
	pg.Kill(t)
	_, err = pgx.Connect(t.Context(), pg.AdminURL("postgres"))
	require.Error(t, err)
	pg.Start(t)
	_, err = connect(t, pg.AdminURL("postgres")).Exec(t.Context(), "SELECT FROM kept")
	require.NoError(t, err, "same port, same data")

	pg.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = pgx.Connect(ctx, pg.AdminURL("postgres"))
	require.ErrorIs(t, err, context.DeadlineExceeded, "a paused server doesn't answer")
	pg.Unpause(t)

	broker := testkit.OwnRabbit(t)
	vhost := broker.Vhost(t)
	broker.Stop(t)
	require.Error(t, broker.Management.Do(t.Context(), http.MethodGet, "/api/overview", nil, nil))
	broker.Start(t)
	assert.Empty(t, vhost.Queues(t), "the virtual host is still there")
}

func TestLiveKitAnswers(t *testing.T) {
	t.Parallel()
	server := testkit.LiveKit(t, "http://127.0.0.1:8081/livekit/webhook")
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Contains(t, server.Exec(t, "cat", "/etc/livekit.yaml"), "http://host.docker.internal:8081/livekit/webhook")
	http.DefaultClient.CloseIdleConnections()
}

func TestRedisKeepsLiveKitsState(t *testing.T) {
	t.Parallel()
	server := testkit.LiveKitWithRedis(t, "")
	registered := func() bool { return strings.HasSuffix(server.Redis.Exec(t, "redis-cli", "HLEN", "nodes"), "1\n") }
	assert.True(t, registered(), "the server is registered there")
	server.Redis.Kill(t)
	server.Redis.Start(t)
	assert.True(t, registered(), "same data")
	server.Kill(t)
	server.Start(t)
}

func TestEventuallyWaitsForACondition(t *testing.T) {
	t.Parallel()
	calls := 0
	testkit.Eventually(t, time.Second, func(context.Context) error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	assert.Equal(t, 3, calls)
}

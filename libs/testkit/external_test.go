//go:build integration

package testkit //nolint:testpackage // Needs servers that the exported API starts only once a binary.

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
)

// setPasswords makes the passwords of this process's containers known as those of a server that already runs.
func setPasswords(t *testing.T) {
	t.Helper()
	for name, value := range generated.values {
		t.Setenv(name, value)
	}
}

func TestServersThatRunAlready(t *testing.T) {
	ownPG, ownBroker := OwnPostgres(t), OwnRabbit(t)
	setPasswords(t)
	t.Setenv("TEST_POSTGRES_URL", ownPG.AdminURL(""))
	pg, err := externalPG()
	require.NoError(t, err)
	app, owner := pg.Database(t, "sessions", nil)
	for _, address := range []string{app, owner} {
		require.NoError(t, execute(t.Context(), address, "SELECT 1"))
	}

	t.Setenv("TEST_RABBITMQ_URL", "amqp://"+ownBroker.address)
	_, err = externalBroker()
	require.ErrorContains(t, err, "TEST_RABBITMQ_MANAGEMENT_URL")
	t.Setenv("TEST_RABBITMQ_MANAGEMENT_URL", ownBroker.Management.base)
	broker, err := externalBroker()
	require.NoError(t, err)
	vhost := broker.Vhost(t)
	assert.Equal(t, ownBroker.URL(t, "bridge", vhost.Name), vhost.URL("bridge"))

	t.Setenv("TEST_LIVEKIT_URL", "https://livekit.example")
	_, err = externalLiveKit()
	require.ErrorContains(t, err, "TEST_LIVEKIT_KEY")
	t.Setenv("TEST_LIVEKIT_KEY", "key")
	t.Setenv("TEST_LIVEKIT_SECRET", "secret")
	server, err := externalLiveKit()
	require.NoError(t, err)
	assert.Equal(t, &LiveKitServer{URL: "https://livekit.example", WSURL: "wss://livekit.example", APIKey: "key", APISecret: "secret"}, server)
}

// TestEmptyServerGetsTheRoles shows a server that has never seen deployments/postgres.
func TestEmptyServerGetsTheRoles(t *testing.T) {
	port := FreePort(t)
	admin := &url.URL{Scheme: "postgres", User: url.UserPassword("postgres", "admin"), Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/postgres"}
	server, err := run(t.Context(), spec{
		image: Pin(t, "POSTGRES_IMAGE"), env: map[string]string{"POSTGRES_PASSWORD": "admin"}, ports: map[string]int{"5432/tcp": port},
		ready: func(ctx context.Context) error { return execute(ctx, admin.String(), "SELECT 1") },
	})
	require.NoError(t, err)
	server.own(t)
	t.Setenv("TEST_POSTGRES_URL", admin.String())
	for _, name := range []string{"SESSIONS_DB_PASSWORD", "SESSIONS_OWNER_DB_PASSWORD", "BRIDGE_DB_PASSWORD", "BRIDGE_OWNER_DB_PASSWORD"} {
		t.Setenv(name, random(8))
	}
	for range 2 { // The second time they are there.
		pg, err := externalPG()
		require.NoError(t, err)
		app, _ := pg.Database(t, "bridge", nil)
		require.NoError(t, execute(t.Context(), app, "SELECT 1"))
	}
}

func TestContainersOfKilledProcessesAreRemoved(t *testing.T) {
	gone := exec.CommandContext(t.Context(), "true")
	require.NoError(t, gone.Run())
	label := owner()
	engine, err := testcontainers.NewDockerClientWithOpts(t.Context())
	require.NoError(t, err)
	defer func() { _ = engine.Close() }()

	start := func(owner string) *testcontainers.DockerContainer {
		container, err := testcontainers.Run(t.Context(), Pin(t, "LIVEKIT_IMAGE"), testcontainers.WithCmd("--dev"),
			testcontainers.WithLabels(map[string]string{ownerLabel: owner}), testcontainers.WithLogger(silent{}))
		require.NoError(t, err)
		return container
	}
	host := label[:len(label)-len(strconv.Itoa(os.Getpid()))]
	orphan, ours, foreign := start(host+strconv.Itoa(gone.Process.Pid)), start(label), start("another-machine/1")
	for _, c := range []*testcontainers.DockerContainer{ours, foreign} {
		t.Cleanup(func() { require.NoError(t, testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0))) })
	}
	reap(t.Context())
	exists := func(c *testcontainers.DockerContainer) bool {
		_, err := engine.ContainerInspect(t.Context(), c.GetContainerID(), client.ContainerInspectOptions{})
		return err == nil
	}
	assert.False(t, exists(orphan))
	assert.True(t, exists(ours))
	assert.True(t, exists(foreign))
}

func TestUntilReportsTheCheckAndNotTheDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err := until(ctx, time.Millisecond, func(ctx context.Context) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.New("not there")
	})
	require.EqualError(t, err, "not there")
}

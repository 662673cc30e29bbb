package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// Stop stops the server in an orderly way; clients lose it. Its data stays.
func (c *Container) Stop(t testing.TB) {
	t.Helper()
	grace := 20 * time.Second
	if err := c.docker.Stop(Context(t, time.Minute), &grace); err != nil {
		t.Fatalf("testkit: stop: %v", err)
	}
}

// Start starts a server that Stop or Kill ended, on the same ports, and waits until it is ready.
func (c *Container) Start(t testing.TB) {
	t.Helper()
	ctx := Context(t, startTimeout)
	if err := c.docker.Start(ctx); err != nil {
		t.Fatalf("testkit: start: %v", err)
	}
	if err := c.waitReady(ctx); err != nil {
		t.Fatalf("testkit: start: %v%s", err, c.logsOrNothing())
	}
}

// Kill ends the server with SIGKILL.
func (c *Container) Kill(t testing.TB) {
	t.Helper()
	c.control(t, "kill", func(ctx context.Context, engine *testcontainers.DockerClient) error {
		_, err := engine.ContainerKill(ctx, c.docker.GetContainerID(), client.ContainerKillOptions{Signal: "SIGKILL"})
		return err
	})
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		state, err := c.docker.State(ctx)
		if err == nil && state.Running {
			err = errors.New("the container still runs")
		}
		return err
	})
}

// Pause freezes the server: connections stay open and nothing answers. On a busy machine the kernel may not get all of its threads to stand
// still in time, and the engine gives up; it is then asked again.
func (c *Container) Pause(t testing.TB) {
	t.Helper()
	Eventually(t, time.Minute, func(ctx context.Context) error {
		return ask(ctx, func(ctx context.Context, engine *testcontainers.DockerClient) error {
			_, err := engine.ContainerPause(ctx, c.docker.GetContainerID(), client.ContainerPauseOptions{})
			return err
		})
	})
}

// Unpause lets a frozen server go on.
func (c *Container) Unpause(t testing.TB) {
	t.Helper()
	c.control(t, "unpause", func(ctx context.Context, engine *testcontainers.DockerClient) error {
		_, err := engine.ContainerUnpause(ctx, c.docker.GetContainerID(), client.ContainerUnpauseOptions{})
		return err
	})
}

// Exec runs a command in the container and returns its output; a status other than 0 fails the test.
func (c *Container) Exec(t testing.TB, command ...string) string {
	t.Helper()
	status, reader, err := c.docker.Exec(Context(t, time.Minute), command)
	if err != nil {
		t.Fatalf("testkit: exec %s: %v", command[0], err)
	}
	output, err := io.ReadAll(reader)
	if err != nil || status != 0 {
		t.Fatalf("testkit: exec %v: status %d, %v: %s", command, status, err, output)
	}
	return string(output)
}

// ImageLabels returns the labels of the image that the container runs, by which a test can tell what is really used.
func (c *Container) ImageLabels(t testing.TB) map[string]string {
	t.Helper()
	var labels map[string]string
	c.control(t, "inspect image", func(ctx context.Context, engine *testcontainers.DockerClient) error {
		inspected, err := engine.ImageInspect(ctx, c.docker.Image)
		if err == nil && inspected.Config != nil {
			labels = inspected.Config.Labels
		}
		return err
	})
	return labels
}

func (c *Container) control(t testing.TB, what string, do func(ctx context.Context, engine *testcontainers.DockerClient) error) {
	t.Helper()
	if err := ask(Context(t, time.Minute), do); err != nil {
		t.Fatalf("testkit: %s: %v", what, err)
	}
}

// ask has the container engine do something.
func ask(ctx context.Context, do func(ctx context.Context, engine *testcontainers.DockerClient) error) error {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return fmt.Errorf("reach the container engine: %w", err)
	}
	defer engine.Close() //nolint:errcheck // Nothing is in hand.
	return do(ctx, engine)
}

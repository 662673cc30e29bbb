package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// startTimeout bounds the start of a container until it is ready, on a slow machine under load.
const startTimeout = 2 * time.Minute

// spec is what a container is started from.
type spec struct {
	image string
	env   map[string]string
	cmd   []string
	files map[string]string // content by path in the container
	ports map[string]int    // port on the host's loopback by port in the container ("5432/tcp")
	ready func(ctx context.Context) error
}

// Container is a running server, reachable on the same ports of 127.0.0.1 over stops and starts.
type Container struct {
	docker *testcontainers.DockerContainer
	ready  func(ctx context.Context) error
}

// run starts a container and waits until it is ready.
func run(ctx context.Context, s spec) (*Container, error) {
	reapOnce.Do(func() { reap(ctx) })
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	docker, err := testcontainers.Run(ctx, s.image, s.options()...)
	c := &Container{docker: docker, ready: s.ready}
	if err == nil {
		err = c.waitReady(ctx)
	}
	if err != nil {
		err = fmt.Errorf("start %s: %w%s%s", s.image, err, hint(err), c.logsOrNothing())
		if docker != nil {
			_ = c.remove()
		}
		return nil, err
	}
	return c, nil
}

// hint says what to do about failures that are not the server's own.
func hint(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "reaper"):
		return "\nset TESTCONTAINERS_RYUK_DISABLED=true where Ryuk's image can't be pulled, or run make test, which finds that out"
	case strings.Contains(text, "docker daemon") || strings.Contains(text, "docker socket"):
		return "\nstart the container engine first: scripts/engine does it"
	default:
		return ""
	}
}

func (s spec) options() []testcontainers.ContainerCustomizer {
	files := make([]testcontainers.ContainerFile, 0, len(s.files))
	for path, content := range s.files {
		files = append(files, testcontainers.ContainerFile{Reader: strings.NewReader(content), ContainerFilePath: path, FileMode: 0o644})
	}
	exposed := []string{}
	bindings := network.PortMap{}
	for inside, outside := range s.ports {
		exposed = append(exposed, inside)
		bindings[network.MustParsePort(inside)] = []network.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(outside)}}
	}
	return []testcontainers.ContainerCustomizer{
		testcontainers.WithEnv(s.env),
		testcontainers.WithCmd(s.cmd...),
		testcontainers.WithFiles(files...),
		testcontainers.WithExposedPorts(exposed...),
		testcontainers.WithLabels(map[string]string{ownerLabel: owner()}),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.PortBindings = bindings
			host.ExtraHosts = []string{containerHost + ":host-gateway"}
		}),
		testcontainers.WithLogger(silent{}),
	}
}

// silent drops the container library's own progress lines.
type silent struct{}

func (silent) Printf(string, ...any) {}

// waitReady waits until the server answers, or says so when its process ended instead.
func (c *Container) waitReady(ctx context.Context) error {
	return until(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return c.ready(attempt)
	})
}

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

// Pause freezes the server: connections stay open and nothing answers.
func (c *Container) Pause(t testing.TB) {
	t.Helper()
	c.control(t, "pause", func(ctx context.Context, engine *testcontainers.DockerClient) error {
		_, err := engine.ContainerPause(ctx, c.docker.GetContainerID(), client.ContainerPauseOptions{})
		return err
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

// Image returns the id-independent facts of the image that the container runs, for checks of what is really used: its labels.
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
	ctx := Context(t, time.Minute)
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		t.Fatalf("testkit: reach the container engine: %v", err)
	}
	defer engine.Close() //nolint:errcheck // Nothing is in hand.
	if err := do(ctx, engine); err != nil {
		t.Fatalf("testkit: %s: %v", what, err)
	}
}

// Logs returns what the server has written so far.
func (c *Container) Logs() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	reader, err := c.docker.Logs(ctx)
	if err != nil {
		return "", fmt.Errorf("read the container's log: %w", err)
	}
	defer reader.Close() //nolint:errcheck // Only read from.
	log, err := io.ReadAll(reader)
	if err != nil {
		return "", fmt.Errorf("read the container's log: %w", err)
	}
	return string(log), nil
}

// logsOrNothing is the end of the log for an error message.
func (c *Container) logsOrNothing() string {
	if c.docker == nil {
		return ""
	}
	log, err := c.Logs()
	if err != nil || log == "" {
		return ""
	}
	lines := bytes.Split([]byte(strings.TrimSpace(log)), []byte("\n"))
	return "\nits log ends with:\n" + string(bytes.Join(lines[max(0, len(lines)-40):], []byte("\n")))
}

// remove kills and removes the container with its data.
func (c *Container) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.docker.Terminate(ctx, testcontainers.StopTimeout(0)); err != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	return nil
}

// own removes a container at the end of the test that it belongs to, and shows its log where the test failed.
func (c *Container) own(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s%s", c.docker.Image, c.logsOrNothing())
		}
		if err := c.remove(); err != nil {
			t.Errorf("testkit: %v", err)
		}
	})
}

// group is what the whole test binary shares.
type group struct {
	mu      sync.Mutex
	closers []func(failed bool)
}

var shared group

// onClose has f called at the end of the test binary.
func (g *group) onClose(f func(failed bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closers = append(g.closers, f)
}

// keep removes a container at the end of the test binary.
func (g *group) keep(c *Container) {
	g.onClose(func(failed bool) {
		if failed {
			fmt.Fprintf(os.Stderr, "%s%s\n", c.docker.Image, c.logsOrNothing())
		}
		if err := c.remove(); err != nil {
			fmt.Fprintf(os.Stderr, "testkit: %v\n", err)
		}
	})
}

// close calls what onClose was given, last first.
func (g *group) close(failed bool) {
	g.mu.Lock()
	closers := g.closers
	g.closers = nil
	g.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i](failed)
	}
}

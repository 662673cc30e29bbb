package testkit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
)

// startTimeout bounds the start of a container until it is ready, on a slow machine under load.
const startTimeout = 2 * time.Minute

// spec is what a container is started from.
type spec struct {
	image  string
	env    map[string]string
	cmd    []string
	files  map[string]string // content by path in the container
	ports  map[string]int    // port on the host's loopback by port in the container ("5432/tcp")
	mounts []mount.Mount
	link   link
	ready  func(ctx context.Context) error
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
		err = fmt.Errorf("start %s: %w%s%s", s.image, err, hint(err), c.logsOrNothing()) //nolint:contextcheck // The end of ctx may be what failed.
		if docker != nil {
			_ = c.remove() //nolint:contextcheck // As above.
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
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithEnv(s.env),
		testcontainers.WithCmd(s.cmd...),
		testcontainers.WithFiles(files...),
		testcontainers.WithExposedPorts(exposed...),
		testcontainers.WithLabels(map[string]string{ownerLabel: owner()}),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.PortBindings = bindings
			host.Mounts = append(host.Mounts, s.mounts...)
			host.ExtraHosts = []string{containerHost + ":host-gateway"}
		}),
		testcontainers.WithLogger(silent{}),
	}
	if s.link.network != nil {
		options = append(options, s.link.join())
	}
	return options
}

// silent drops the container library's own progress lines.
type silent struct{}

// Printf implements the library's logger.
func (silent) Printf(string, ...any) {}

// waitReady waits until the server answers, or says so when its process ended instead.
func (c *Container) waitReady(ctx context.Context) error {
	return until(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return c.ready(attempt)
	})
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

// own removes a container at the end of the test that it belongs to, and shows its log where the
// test failed.
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

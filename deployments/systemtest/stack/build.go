package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/callplane/callplane/libs/testkit"
)

// buildPatience is enough for a cold build with the race detector on a slow machine.
const buildPatience = 10 * time.Minute

// Services are the names of what is built and run: the folder under services/, the command and the database.
var Services = []string{"sessions", "bridge"}

// built holds the binaries of this test process.
var built = sync.OnceValues(buildAll)

// The names of the demo and of the example among the binaries.
const (
	Demo         = "demo"
	Orchestrator = "orchestrator"
)

// Binary gives the path of a service's binary, the demo's or the example's, built with the race detector; all are built once for a test process.
func Binary(t testing.TB, name string) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

func buildAll() (string, error) {
	parent := filepath.Join(testkit.Root(), ".run", "systemtest")
	if err := removeStale(parent); err != nil {
		return "", err
	}
	dir := filepath.Join(parent, strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("making a folder for the binaries: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildPatience)
	defer cancel()
	for _, service := range Services {
		if err := build(ctx, filepath.Join("services", service), "./cmd/"+service, filepath.Join(dir, service)); err != nil {
			return "", err
		}
	}
	if err := build(ctx, filepath.Join("deployments", "examples", Orchestrator), ".", filepath.Join(dir, Orchestrator)); err != nil {
		return "", err
	}
	return dir, build(ctx, filepath.Join("deployments", "systemtest"), "./cmd/"+Demo, filepath.Join(dir, Demo))
}

// build builds a command of a module.
func build(ctx context.Context, module, command, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-race", "-o", binary, command) //nolint:gosec // Fixed names.
	cmd.Dir = filepath.Join(testkit.Root(), module)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s of %s: %w\n%s", command, module, err, output)
	}
	return nil
}

// removeStale removes the binaries of test processes that are gone; the last process's stay until the next.
func removeStale(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("looking for old binaries: %w", err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(parent, entry.Name())); err != nil {
			return fmt.Errorf("removing old binaries: %w", err)
		}
	}
	return nil
}

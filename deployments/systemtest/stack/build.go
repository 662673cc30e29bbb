package stack

import (
	"context"
	"encoding/json"
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

// Other binaries than the services.
const (
	Demo         = "demo"
	Caller       = "caller"
	Orchestrator = "orchestrator"
)

// released is behind the name of a service without the race detector.
const released = "-released"

// race has a binary look for data races in itself.
const race = "-race"

// folder is where the binaries of this test process are, and built builds each of them once, where a test wants it.
var (
	folder = sync.OnceValues(makeFolder)
	built  = map[string]func() error{
		"sessions": sync.OnceValue(func() error { return build(filepath.Join("services", "sessions"), "sessions", "./cmd/sessions", race) }),
		"bridge":   sync.OnceValue(func() error { return build(filepath.Join("services", "bridge"), "bridge", "./cmd/bridge", race) }),
		"sessions" + released: sync.OnceValue(func() error {
			return build(filepath.Join("services", "sessions"), "sessions"+released, "./cmd/sessions")
		}),
		"bridge" + released: sync.OnceValue(func() error { return build(filepath.Join("services", "bridge"), "bridge"+released, "./cmd/bridge") }),
		Demo:                sync.OnceValue(func() error { return build(filepath.Join("deployments", "systemtest"), Demo, "./cmd/demo", race) }),
		// Callers are many, and nobody deploys them.
		Caller: sync.OnceValue(func() error { return build(filepath.Join("deployments", "systemtest"), Caller, "./cmd/caller") }),
		Orchestrator: sync.OnceValue(func() error {
			return build(filepath.Join("deployments", "examples", Orchestrator), Orchestrator, ".", race)
		}),
	}
)

// Binary gives the path of a service's binary, or another's, built here.
func Binary(t testing.TB, name string) string {
	t.Helper()
	dir, err := folder()
	if err == nil {
		err = built[name]()
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// BinaryWith gives the path of a service's binary in whose build other files stand in for some of its own: their paths by those of the files that
// they replace, as go build -overlay has it.
func BinaryWith(t testing.TB, name string, replaced map[string]string) string {
	t.Helper()
	dir, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name+"-overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	changed := name + "-changed"
	if err := build(filepath.Join("services", name), changed, "./cmd/"+name, race, "-overlay", file); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, changed)
}

func makeFolder() (string, error) {
	parent := filepath.Join(testkit.Root(), ".run", "systemtest")
	if err := removeStale(parent); err != nil {
		return "", err
	}
	dir := filepath.Join(parent, strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("making a folder for the binaries: %w", err)
	}
	return dir, nil
}

// build builds a command of a module.
func build(module, name, command string, flags ...string) error {
	dir, err := folder()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildPatience)
	defer cancel()
	args := append(append([]string{"build"}, flags...), "-o", filepath.Join(dir, name), command)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // Fixed names.
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

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/joho/godotenv"
)

// machine is what the figures are of.
type machine struct {
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"`
	Memory   float64 `json:"memoryGiB"`
	Kernel   string  `json:"kernel"`
	Go       string  `json:"go"`
	Postgres string  `json:"postgres"`
	RabbitMQ string  `json:"rabbitmq"`
	LiveKit  string  `json:"livekit"`
	Commit   string  `json:"commit"` // of the code; "" where that is not known
}

// describe looks at the machine, at what is pinned, and at the code.
func describe(ctx context.Context, root string) (machine, error) {
	m := machine{Cores: runtime.NumCPU(), Go: strings.TrimPrefix(runtime.Version(), "go")}
	pins, err := godotenv.Read(filepath.Join(root, "deployments", "versions.env"))
	if err != nil {
		return m, fmt.Errorf("reading the pinned versions: %w", err)
	}
	for key, to := range map[string]*string{"POSTGRES_IMAGE": &m.Postgres, "RABBITMQ_IMAGE": &m.RabbitMQ, "LIVEKIT_IMAGE": &m.LiveKit} {
		_, *to, _ = strings.Cut(pins[key], ":")
	}
	if m.CPU, err = kernelSays("/proc/cpuinfo", "model name"); err != nil {
		return m, err
	}
	memory, err := kernelSays("/proc/meminfo", "MemTotal")
	if err != nil {
		return m, err
	}
	var kib float64
	if _, err := fmt.Sscan(memory, &kib); err != nil {
		return m, fmt.Errorf("reading how much memory there is: %w", err)
	}
	m.Memory = float64(int(kib/(1<<20)*10)) / 10
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, fmt.Errorf("reading the kernel's version: %w", err)
	}
	m.Kernel, _, _ = strings.Cut(strings.TrimSpace(string(release)), "-") // What follows names who built it.
	// An archive of the code has no history, and that is no reason not to measure it.
	if said, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty").Output(); err == nil { //nolint:gosec // Our own folder.
		m.Commit = strings.TrimSpace(string(said))
	}
	return m, nil
}

// kernelSays returns the first value of a key in one of the kernel's tables.
func kernelSays(file, key string) (string, error) {
	text, err := os.ReadFile(file) //nolint:gosec // One of two.
	if err != nil {
		return "", fmt.Errorf("looking at the machine: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("looking at the machine: %s has no %s", file, key)
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// suite is benchmarks that are run in one process, so that what they need is started once.
type suite struct {
	name      string
	module    string        // folder of the module
	pkg       string        // folder of the package in it
	benchtime string        // as go test takes it
	timeout   time.Duration // of a repetition of a part, after the preparation
	inside    bool          // what is measured is in the benchmarks' own process, and so is its profile
	parts     []part
}

// part is what can be asked for by name.
type part struct {
	name  string
	bench string // the benchmark's name, all below it included
}

// preparation is how long containers, builds and filling databases may take.
const preparation = 10 * time.Minute

// imagesPart is the one that has no benchmark.
const imagesPart = "images"

// suites are in the order in which they run.
var suites = []suite{
	{
		name: "store", module: "services/sessions", pkg: "internal/adapters/postgres", benchtime: "1s", timeout: time.Minute, inside: true,
		parts: []part{
			{"create", "BenchmarkCreate"}, {"get", "BenchmarkGet"}, {"list", "BenchmarkListPage"}, {"growth", "BenchmarkGrowth"},
		},
	},
	{
		name: "stack", module: "deployments/systemtest", benchtime: "3s", timeout: 2 * time.Minute,
		parts: []part{
			{"token", "BenchmarkTokens"}, {"latency", "BenchmarkWebhookToStream"}, {"events", "BenchmarkEvents"}, {"start", "BenchmarkStart"},
		},
	},
	{
		name: "streams", module: "services/sessions", pkg: "internal/wiring", benchtime: "3s", timeout: 3 * time.Minute,
		parts: []part{{"streams", "BenchmarkOpenStreams"}},
	},
}

func partNames() []string {
	var names []string
	for _, s := range suites {
		for _, p := range s.parts {
			names = append(names, p.name)
		}
	}
	return append(names, imagesPart)
}

// only returns the suite with those of its parts that are asked for.
func (s suite) only(names []string) suite {
	s.parts = slices.DeleteFunc(slices.Clone(s.parts), func(p part) bool { return len(names) > 0 && !slices.Contains(names, p.name) })
	return s
}

// bench is what go test -bench takes for all parts.
func (s suite) bench() string {
	var names []string
	for _, p := range s.parts {
		names = append(names, p.bench)
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// runner runs parts and keeps what they print.
type runner struct {
	settings
	stdout io.Writer
	began  time.Time
	raw    bytes.Buffer // in Go's benchmark format
}

func (r *runner) profiles() string { return filepath.Join(r.root, ".run", "bench", "profiles") }

// say tells how far it has come.
func (r *runner) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.stdout, "==> %4.0f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...)) // Nobody may listen.
}

// suite runs the parts of a suite, repeated.
func (r *runner) suite(ctx context.Context, s suite) error {
	r.say("%s: building", s.name)
	folder := filepath.Join(r.root, s.module)
	binary := filepath.Join(r.root, ".run", "bench", s.name+".test")
	if err := os.MkdirAll(r.profiles(), 0o750); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "test", "-tags", "integration", "-c", "-o", binary, "./"+s.pkg) //nolint:gosec // Our own tests.
	build.Dir = folder
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the benchmarks: %w\n%s", err, said)
	}
	defer os.Remove(binary) //nolint:errcheck // It may stay.
	args := []string{
		"-test.run", "^$", "-test.bench", s.bench(), "-test.benchtime", s.benchtime, "-test.count", strconv.Itoa(r.repeat),
		"-test.timeout", (preparation + time.Duration(r.repeat*len(s.parts))*s.timeout).String(),
	}
	switch {
	case r.profile && s.inside:
		args = append(args, "-test.cpuprofile", filepath.Join(r.profiles(), s.name+".cpu.pprof"))
	case r.profile:
		args = append(args, "-profiles", r.profiles())
	}
	process := exec.CommandContext(ctx, binary, args...) //nolint:gosec // As above.
	process.Dir = filepath.Join(folder, s.pkg)
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) } // It removes its containers.
	return r.watch(process, s.name)
}

// longestLine is more than any line of a log.
const longestLine = 16 << 20

// heartbeat is how long a suite is silent at most.
const heartbeat = 15 * time.Second

// watch runs the process of a suite, keeps its results and tells of each.
func (r *runner) watch(process *exec.Cmd, suite string) error {
	var log, errors bytes.Buffer
	process.Stderr = &errors
	out, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	r.say("%s: starting what it needs", suite)
	lines := make(chan string)
	go func() { // ends with the process's output
		defer close(lines)
		scanner := bufio.NewScanner(out)
		scanner.Buffer(nil, longestLine)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	silent := time.NewTicker(heartbeat)
	defer silent.Stop()
	for open := true; open; {
		var line string
		select {
		case line, open = <-lines:
			silent.Reset(heartbeat)
			if !r.keep(line) {
				fmt.Fprintln(&log, line)
			}
		case <-silent.C:
			r.say("%s: ...", suite)
		}
	}
	if err := process.Wait(); err != nil {
		return fmt.Errorf("%w\n%s\n%s", err, log.String(), errors.String())
	}
	return nil
}

// keep keeps a line of Go's benchmark format and tells of results. It returns false for others, which are for who looks for why it failed.
func (r *runner) keep(line string) bool {
	name, figures, found := strings.Cut(line, "\t")
	result := found && strings.HasPrefix(name, "Benchmark")
	config := slices.ContainsFunc([]string{"goos: ", "goarch: ", "pkg: ", "cpu: "}, func(key string) bool { return strings.HasPrefix(line, key) })
	if result || config {
		fmt.Fprintln(&r.raw, line)
	}
	if result {
		r.say("%s %s", strings.TrimSpace(name), strings.Join(strings.Fields(figures), " "))
	}
	return result || config
}

// images tells how large the services' images are, of those that the engine has.
func (r *runner) images(ctx context.Context) error {
	var failed error
	for _, service := range []string{"sessions", "bridge"} {
		image := r.settings.images[service]
		if image == "" {
			r.say("images: that of %s is left out, make up builds it", service)
			continue
		}
		said, err := exec.CommandContext(ctx, "docker", "image", "inspect", "--format", "{{.Size}}", image).Output() //nolint:gosec // The user's own.
		var size float64
		if err == nil {
			_, err = fmt.Sscan(string(said), &size)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("the size of %s: %w", image, err))
			continue
		}
		fmt.Fprintf(&r.raw, "BenchmarkImage/%s 1 %.1f image-MiB\n", service, size/(1<<20))
		r.say("images: %s has %.1f MiB", service, size/(1<<20))
	}
	return failed
}

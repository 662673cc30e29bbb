package testkit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// profiles is where benchmarks of whole processes put profiles of them.
var profiles = flag.String("profiles", "", "folder for profiles of the processes that benchmarks run; none: no profiles")

// profileSeconds is how much of a benchmark a CPU profile shows.
const profileSeconds = 3

// ProfileCPU begins a CPU profile of a process, read from its admin address (host and port), where -profiles asks for it. It shows the next
// three seconds; the function returned waits for their end. The file is called after the benchmark and process, and is the last repetition's.
func ProfileCPU(b *testing.B, process, admin string) (wait func()) {
	b.Helper()
	if *profiles == "" {
		return func() {}
	}
	var running sync.WaitGroup
	running.Go(func() { Profile(b, process+".cpu", admin, fmt.Sprintf("profile?seconds=%d", profileSeconds)) })
	return running.Wait
}

// Profile writes a profile of a process, which is read from a path under /debug/pprof of its admin address, where -profiles asks for it.
func Profile(b *testing.B, name, admin, path string) {
	b.Helper()
	if *profiles == "" {
		return
	}
	file := strings.NewReplacer("/", "_", "Benchmark", "").Replace(b.Name()) + "." + name + ".pprof"
	text, err := get(b.Context(), "http://"+admin+"/debug/pprof/"+path)
	if err == nil {
		err = os.WriteFile(filepath.Join(*profiles, file), text, 0o600)
	}
	if err != nil {
		b.Errorf("testkit: profile of %s: %v", name, err)
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true // No connection is left over when the tests end.
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", url, response.StatusCode, text)
	}
	return text, err
}

// RSS returns how much memory of the machine a process has, in KiB, as the kernel says.
func RSS(t testing.TB, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatalf("testkit: memory of a process: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		value, found := strings.CutPrefix(line, "VmRSS:")
		if !found {
			continue
		}
		kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
		if err != nil {
			t.Fatalf("testkit: memory of a process: %v", err)
		}
		return kib
	}
	t.Fatal("testkit: the kernel does not say how much memory the process has")
	return 0
}

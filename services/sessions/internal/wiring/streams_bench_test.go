//go:build integration

package wiring

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
)

const (
	benchedMembers  = 20 // of a session, and so its streams: half of them of one session, half of a user's
	benchedAtOnce   = 8  // requests that prepare it
	benchedPatience = 60 * time.Second
)

// alone is the service as a process of its own, so that its memory is nobody else's.
type alone struct {
	b       *testing.B
	address string
	admin   string
	pid     int
}

// released builds the service as it is released, without the race detector, and returns the binary's path.
func released(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "sessions")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "./cmd/sessions")
	build.Dir = filepath.Join(testkit.Root(), "services", "sessions")
	said, err := build.CombinedOutput()
	require.NoError(b, err, "%s", said)
	return binary
}

// startAlone starts the service.
func startAlone(b *testing.B, binary string) *alone {
	b.Helper()
	appURL, _ := testkit.Postgres(b).Database(b, "sessions", migrate)
	local := func() string { return "127.0.0.1:" + strconv.Itoa(testkit.FreePort(b)) }
	r := &alone{b: b, address: local(), admin: local()}
	var log bytes.Buffer
	process := exec.Command(binary)
	process.Env = append(os.Environ(), "DATABASE_URL="+appURL, "MIGRATE_ON_START=false", "AMQP_URL="+testkit.Rabbit(b).Vhost(b).URL("sessions"),
		"AUTH_MODE=dev", "HTTP_ADDR="+r.address, "ADMIN_ADDR="+r.admin, "LOG_LEVEL=warn")
	process.Stdout, process.Stderr = &log, &log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(b, process.Start())
	r.pid = process.Process.Pid
	b.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		if err := process.Wait(); err != nil || b.Failed() {
			b.Errorf("the service ended: %v\n%s", err, log.String())
		}
		http.DefaultClient.CloseIdleConnections()
	})
	testkit.Eventually(b, benchedPatience, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err == nil && !strings.Contains(string(body), `"ok"`) {
			err = fmt.Errorf("/readyz says %s", body)
		}
		return err
	})
	return r
}

// admins returns what the service says on its admin address.
func (r *alone) admins(path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(r.b.Context(), http.MethodGet, "http://"+r.admin+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	return body, errors.Join(err, response.Body.Close())
}

// gauge returns a metric of the service that has no labels.
func (r *alone) gauge(name string) float64 {
	r.b.Helper()
	text, err := r.admins("/metrics")
	require.NoError(r.b, err)
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(r.b, err)
			return number
		}
	}
	r.b.Fatalf("the service has no metric %s", name)
	return 0
}

// send makes a request and decodes the answer.
func (r *alone) send(method, path, user, body string) (map[string]any, error) {
	request, err := http.NewRequestWithContext(r.b.Context(), method, "http://"+r.address+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-User-Id", user)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	err = errors.Join(json.NewDecoder(response.Body).Decode(&answer), response.Body.Close())
	if err == nil && response.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %d %v", method, path, response.StatusCode, answer)
	}
	return answer, err
}

// each does something for all numbers below count, some at once.
func each(b *testing.B, count int, do func(n int) error) {
	b.Helper()
	var running sync.WaitGroup
	numbers := make(chan int, count)
	for n := range count {
		numbers <- n
	}
	close(numbers)
	for range benchedAtOnce {
		running.Go(func() {
			for n := range numbers {
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// heard is an event on a stream.
type heard struct {
	session int
	at      time.Time
}

// listen opens a stream on a connection of its own and returns when its head has come. What follows is read until the connection is closed.
func (r *alone) listen(path, user string, session int, events chan<- heard) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(r.b.Context(), "tcp", r.address)
	if err != nil {
		return nil, err
	}
	if _, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: bench\r\nX-User-Id: %s\r\nAccept: text/event-stream\r\n\r\n", path, user); err != nil {
		return conn, err
	}
	lines := bufio.NewReaderSize(conn, 256)
	status, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(status, " 200 ") {
		return conn, fmt.Errorf("%s for %s: %q %w", path, user, status, err)
	}
	go func() {
		for {
			line, err := lines.ReadSlice('\n')
			switch {
			case bytes.HasPrefix(line, []byte("event: call.updated")):
				events <- heard{session, time.Now()}
			case err != nil && !errors.Is(err, bufio.ErrBufferFull):
				return // closed
			}
		}
	}()
	return conn, nil
}

// BenchmarkOpenStreams tells what a thousand and more open streams of one replica cost in memory, and how long a change of a session takes to
// arrive at its streams while all are open: changes one after the other, each seen by all members. Their answers (change-p50 and change-p99)
// say how much of that is the change itself.
func BenchmarkOpenStreams(b *testing.B) {
	binary := released(b)
	for _, count := range []int{1_000, 5_000, 10_000} {
		b.Run(fmt.Sprintf("streams=%d", count), func(b *testing.B) { benchStreams(b, binary, count) })
	}
}

func benchStreams(b *testing.B, binary string, count int) {
	r := startAlone(b, binary)
	ids := r.sessions(count / benchedMembers)
	before := testkit.RSS(b, r.pid)
	events := make(chan heard, count)
	r.listenAll(ids, events)
	opened, stacks, heap := testkit.RSS(b, r.pid), r.gauge("go_memstats_stack_inuse_bytes"), r.gauge("go_memstats_heap_inuse_bytes")
	testkit.Profile(b, "sessions.heap", r.admin, "heap?gc=1")
	profiled := testkit.ProfileCPU(b, "sessions", r.admin)
	var latencies, changes []time.Duration
	for n := 0; b.Loop(); n++ {
		session := n % len(ids)
		began := time.Now()
		_, err := r.send(http.MethodPatch, "/v1/call/sessions/"+ids[session], fmt.Sprintf("u%d-0", session), fmt.Sprintf(`{"title":"%d"}`, n))
		require.NoError(b, err)
		changes = append(changes, time.Since(began))
		for range benchedMembers {
			select {
			case e := <-events:
				require.Equal(b, session, e.session)
				latencies = append(latencies, e.at.Sub(began))
			case <-time.After(benchedPatience):
				b.Fatal("an event does not arrive")
			}
		}
	}
	profiled()
	for name, of := range map[string][]time.Duration{"": latencies, "change-": changes} {
		for _, p := range []int{50, 99} {
			b.ReportMetric(testkit.Percentile(of, p), fmt.Sprintf("%sp%d-ms", name, p))
		}
	}
	b.ReportMetric(before/1024, "before-MiB")
	b.ReportMetric(opened/1024, "opened-MiB")
	b.ReportMetric(stacks/(1<<20), "stacks-MiB")
	b.ReportMetric(heap/(1<<20), "heap-MiB")
	b.ReportMetric(testkit.RSS(b, r.pid)/1024, "after-MiB")
	b.ReportMetric((opened-before)/float64(count), "KiB/stream")
}

// sessions creates sessions, and returns their ids.
func (r *alone) sessions(count int) []string {
	r.b.Helper()
	ids := make([]string, count)
	each(r.b, count, func(n int) error {
		var others []string
		for m := 1; m < benchedMembers; m++ {
			others = append(others, fmt.Sprintf(`{"userId":"u%d-%d","role":"participant"}`, n, m))
		}
		session, err := r.send(http.MethodPost, "/v1/call/sessions", fmt.Sprintf("u%d-0", n), `{"members":[`+strings.Join(others, ",")+`]}`)
		if err == nil {
			ids[n] = session["sessionId"].(string)
		}
		return err
	})
	return ids
}

// listenAll opens a stream for each member of these sessions, until the benchmark ends.
func (r *alone) listenAll(ids []string, events chan<- heard) {
	r.b.Helper()
	conns := make([]net.Conn, len(ids)*benchedMembers)
	r.b.Cleanup(func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
	each(r.b, len(conns), func(n int) error {
		session, member := n/benchedMembers, n%benchedMembers
		path := "/v1/call/events"
		if member%2 == 0 {
			path = "/v1/call/sessions/" + ids[session] + "/events"
		}
		var err error
		conns[n], err = r.listen(path, fmt.Sprintf("u%d-%d", session, member), session, events)
		return err
	})
}

//go:build integration

package wiring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	benchedKey    = "key"
	benchedSecret = "a-secret-for-benchmarks-of-32-bytes-or-more"
)

// alone is the service as a process of its own, as it is released, and what surrounds it.
type alone struct {
	b        *testing.B
	address  string
	admin    string
	settings []string
	binary   string
	db       *gorm.DB
	livekit  *standIn
	sessions *sessions
}

// newAlone builds the service without the race detector, with servers of its own and a stand-in for LiveKit.
func newAlone(b *testing.B) *alone {
	b.Helper()
	a := &alone{b: b, binary: filepath.Join(b.TempDir(), Service), livekit: newStandIn(b)}
	build := exec.CommandContext(b.Context(), "go", "build", "-o", a.binary, "./cmd/"+Service)
	build.Dir = filepath.Join(testkit.Root(), "services", Service)
	said, err := build.CombinedOutput()
	require.NoError(b, err, "%s", said)
	url, ownerURL := testkit.Postgres(b).Database(b, Service, nil)
	a.db, err = postgres.Open(b.Context(), ownerURL, postgres.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, postgres.Close(a.db)) })
	vhost := testkit.Rabbit(b).Vhost(b)
	a.sessions = newSessions(b, vhost)
	a.settings = []string{
		"DATABASE_URL=" + url, "MIGRATE_DATABASE_URL=" + ownerURL, "AMQP_URL=" + vhost.URL(topology.UserBridge),
		"EVENT_PARTITIONS=" + strconv.Itoa(partitions), "LOG_LEVEL=warn",
		"LIVEKIT_API_URL=" + a.livekit.url, "LIVEKIT_PUBLIC_URL=ws://127.0.0.1:1",
		"LIVEKIT_API_KEY=" + benchedKey, "LIVEKIT_API_SECRET=" + benchedSecret,
	}
	return a
}

// start starts a process and returns what stops it; it is stopped with the benchmark at the latest.
func (a *alone) start(b *testing.B, changes ...string) (stop func()) {
	b.Helper()
	a.address, a.admin = "127.0.0.1:"+strconv.Itoa(testkit.FreePort(b)), "127.0.0.1:"+strconv.Itoa(testkit.FreePort(b))
	var log bytes.Buffer
	process := exec.CommandContext(context.Background(), a.binary)
	process.Env = append(append(append(os.Environ(), a.settings...), "HTTP_ADDR="+a.address, "ADMIN_ADDR="+a.admin), changes...)
	process.Stdout, process.Stderr = &log, &log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(b, process.Start())
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		_ = process.Process.Signal(syscall.SIGTERM)
		if err := process.Wait(); err != nil || b.Failed() {
			b.Errorf("the service ended: %v\n%s", err, log.String())
		}
		http.DefaultClient.CloseIdleConnections()
	}
	b.Cleanup(stop)
	testkit.Eventually(b, time.Minute, func(ctx context.Context) error {
		body, err := a.get(ctx, "http://"+a.address+"/readyz")
		if err == nil && !strings.Contains(body, `"ok"`) {
			err = fmt.Errorf("/readyz says %s", body)
		}
		return err
	})
	return stop
}

func (a *alone) get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return string(body), errors.Join(err, response.Body.Close())
}

// sender sends the process webhooks; what they tell is what LiveKit lists.
func (a *alone) sender(b *testing.B) *sender {
	b.Helper()
	s := newSender(b, a.address, benchedKey, benchedSecret)
	s.told = a.livekit.told
	return s
}

// count returns a figure of the database.
func (a *alone) count(sql string, args ...any) int {
	a.b.Helper()
	var n int
	require.NoError(a.b, a.db.Raw(sql, args...).Scan(&n).Error)
	return n
}

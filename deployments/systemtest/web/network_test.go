//go:build integration

package web

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// network is what takes a browser off this machine's network, loopback and all, and puts it back: its connections are known by the group
// that it runs as, and what comes over them is dropped by the kernel, in both directions, the signal's and the media's.
type network struct{ group int }

// newNetwork prepares it. That takes Linux, root and iptables, as a container engine does; where one is missing the reason is given back.
func newNetwork(t *testing.T) (*network, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil, "taking a browser off the network takes root"
	}
	for _, command := range []string{"iptables", "setpriv"} {
		if _, err := exec.LookPath(command); err != nil {
			return nil, "taking a browser off the network takes " + command
		}
	}
	const first, groups = 60000, 5000 // no group that anybody has, and another one for each run
	n := &network{group: first + os.Getpid()%groups}
	mark := []string{"OUTPUT", "-m", "owner", "--gid-owner", n.name(), "-j", "CONNMARK", "--set-mark", n.name()}
	require.NoError(t, iptables(t.Context(), append([]string{"-t", "mangle", "-I"}, mark...)...))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = iptables(ctx, n.rule("-D")...) // There only where a test failed meanwhile.
		require.NoError(t, iptables(ctx, append([]string{"-t", "mangle", "-D"}, mark...)...))
	})
	return n, ""
}

func (n *network) name() string { return strconv.Itoa(n.group) }

func (n *network) rule(action string) []string {
	return []string{action, "INPUT", "-m", "connmark", "--mark", n.name(), "-j", "DROP"}
}

// browser writes a program that starts one which may be taken off the network, and returns its path.
func (n *network) browser(t *testing.T, chromium string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chromium")
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --regid=%d --clear-groups %s \"$@\"\n", n.group, chromium)
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	return path
}

// ServeHTTP takes the browser off the network (POST /offline) or puts it back (POST /online).
func (n *network) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	action := map[string]string{"/offline": "-I", "/online": "-D"}[request.URL.Path]
	if err := iptables(request.Context(), n.rule(action)...); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func iptables(ctx context.Context, arguments ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, "iptables", append([]string{"--wait"}, arguments...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s: %w: %s", strings.Join(arguments, " "), err, output)
	}
	return nil
}

package stack

import (
	"fmt"
	"os"
	"testing"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// boundPeriod is in microseconds: within each a process gets its part and then waits.
const boundPeriod = 10_000

// Bind gives the process, which is running, no more than so many cores until the test ends. The kernel sees to it (cgroups, of which it has
// either version), and lets only root ask for it; others skip the test.
func (p *Process) Bind(t testing.TB, cores float64) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("giving a process a part of a core takes root")
	}
	name := fmt.Sprintf("/callplane-%s-%d", p.name, p.PID())
	quota := int64(cores * boundPeriod)
	if cgroups.Mode() == cgroups.Unified {
		bindUnified(t, name, p.PID(), quota)
		return
	}
	period := uint64(boundPeriod)
	onlyCPU := cgroup1.WithHierarchy(cgroup1.SingleSubsystem(cgroup1.Default, cgroup1.Cpu))
	group, err := cgroup1.New(cgroup1.StaticPath(name), &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota, Period: &period}}, onlyCPU)
	require.NoError(t, err)
	require.NoError(t, group.AddProc(uint64(p.PID()))) //nolint:gosec // A PID is above 0.
	t.Cleanup(func() {
		root, err := cgroup1.Load(cgroup1.RootPath, onlyCPU)
		require.NoError(t, err)
		require.NoError(t, group.MoveTo(root))
		require.NoError(t, group.Delete())
	})
}

func bindUnified(t testing.TB, name string, pid int, quota int64) {
	t.Helper()
	period := uint64(boundPeriod)
	group, err := cgroup2.NewManager("/sys/fs/cgroup", name, &cgroup2.Resources{CPU: &cgroup2.CPU{Max: cgroup2.NewCPUMax(&quota, &period)}})
	require.NoError(t, err)
	require.NoError(t, group.AddProc(uint64(pid))) //nolint:gosec // A PID is above 0.
	t.Cleanup(func() {
		root, err := cgroup2.Load("/")
		require.NoError(t, err)
		require.NoError(t, group.MoveTo(root))
		require.NoError(t, group.Delete())
	})
}

//go:build integration

package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// idle is how long a service is left alone before its memory is read: longer than anything that it begins with takes.
const idle = 3 * time.Second

// BenchmarkStart tells how long a service takes from its start until it says that it is ready and nothing is degraded, on a database that is
// migrated, and how much memory it has when it has done nothing for a while.
func BenchmarkStart(b *testing.B) {
	s := stack.Released(b)
	for _, service := range []struct {
		name    string
		process *stack.Process
	}{{"sessions", s.Sessions}, {"bridge", s.Bridge}} {
		b.Run(service.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				require.Zero(b, service.process.Stop(b))
				began := time.Now()
				service.process.Start(b)
				testkit.EventuallyEvery(b, 2*time.Millisecond, stack.Patience, func(ctx context.Context) error {
					status, degraded, err := s.Readiness(ctx, service.process)
					if err == nil && (status != http.StatusOK || len(degraded) > 0) {
						err = fmt.Errorf("/readyz is %d, degraded: %v", status, degraded)
					}
					return err
				})
				took = append(took, time.Since(began))
			}
			left := time.NewTimer(idle)
			defer left.Stop()
			<-left.C
			b.ReportMetric(testkit.Percentile(took, 50), "ready-ms")
			b.ReportMetric(testkit.RSS(b, service.process.PID())/1024, "idle-MiB")
		})
	}
}

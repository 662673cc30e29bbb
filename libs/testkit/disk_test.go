//go:build integration

package testkit //nolint:testpackage // Uses the servers' own connections.

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAFullDisk fills the disk of a database: what is written then fails, what was written before is there when there is room again, also
// after a kill.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	disk := NewDisk(t, 256)
	pg := OwnPostgresOn(t, disk)
	app, _ := pg.Database(t, "sessions", nil)
	require.NoError(t, execute(t.Context(), pg.AdminURL("postgres"), "CREATE TABLE kept (n text)", "INSERT INTO kept VALUES ('1')"))
	disk.Fill(t, 0)
	Eventually(t, time.Minute, func(ctx context.Context) error {
		if err := execute(ctx, pg.AdminURL("postgres"), "INSERT INTO kept SELECT repeat('x', 1000) FROM generate_series(1, 50000)"); err != nil {
			return nil //nolint:nilerr // It is what is waited for.
		}
		return context.DeadlineExceeded
	})
	disk.Free(t)
	pg.Revive(t)
	require.NoError(t, execute(t.Context(), app, "SELECT 1"))
	pg.Kill(t)
	pg.Revive(t)
	kept, err := Texts(t.Context(), pg.AdminURL("postgres"), "SELECT n FROM kept WHERE n = '1'")
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, kept)
}

// TestABrokersFullDisk fills the disk of a broker as far as it lets it become full: it raises its alarm, and takes it back when there is room.
func TestABrokersFullDisk(t *testing.T) {
	t.Parallel()
	disk := NewDisk(t, 256)
	broker := OwnRabbitOn(t, disk)
	alarm := func(want bool) {
		t.Helper()
		Eventually(t, time.Minute, func(ctx context.Context) error {
			var nodes []struct {
				DiskFreeAlarm bool `json:"disk_free_alarm"`
			}
			if err := broker.Management.Do(ctx, "GET", "/api/nodes", nil, &nodes); err != nil {
				return err
			}
			if len(nodes) != 1 || nodes[0].DiskFreeAlarm != want {
				return fmt.Errorf("the nodes are %v", nodes)
			}
			return nil
		})
	}
	alarm(false)
	disk.Fill(t, BrokerKeeps)
	alarm(true)
	disk.Free(t)
	alarm(false)
}

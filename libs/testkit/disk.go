package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// diskMount is where a disk's keeper sees it.
const diskMount = "/disk"

// BrokerKeeps is how many MiB a full disk leaves to RabbitMQ: less than those below which it takes no more messages (disk_free_limit, 50 MB
// unless set), and enough for what it has taken. Without any, quorum queues write parts of what they write, and some can't be read when the
// node starts again (tried with 4.0.5).
const BrokerKeeps = 24

// Disk is a small volume of its own, in memory, that a server has its data on and that can be full. A container that does nothing else keeps it
// while the server is stopped or killed.
type Disk struct {
	keeper *Container
	volume string
}

// NewDisk makes a disk of so many MiB. It ends with the test.
func NewDisk(t testing.TB, mebibytes int) *Disk {
	t.Helper()
	needMain(t)
	keeper, err := run(t.Context(), spec{
		image: Pin(t, "POSTGRES_IMAGE"), cmd: []string{"sleep", "infinity"},
		mounts: []mount.Mount{{
			Type: mount.TypeVolume, Target: diskMount, VolumeOptions: &mount.VolumeOptions{DriverConfig: &mount.Driver{
				Name: "local", Options: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": fmt.Sprintf("size=%dm,mode=0777", mebibytes)},
			}},
		}},
		ready: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatalf("testkit: disk: %v", err)
	}
	keeper.own(t)
	d := &Disk{keeper: keeper}
	keeper.control(t, "find the disk", func(ctx context.Context, engine *testcontainers.DockerClient) error {
		inspected, err := engine.ContainerInspect(ctx, keeper.docker.GetContainerID(), client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		for _, m := range inspected.Container.Mounts {
			if m.Destination == diskMount {
				d.volume = m.Name
			}
		}
		if d.volume == "" {
			return fmt.Errorf("it is not mounted")
		}
		return nil
	})
	return d
}

// at is the disk mounted in another container.
func (d *Disk) at(path string) mount.Mount {
	return mount.Mount{Type: mount.TypeVolume, Source: d.volume, Target: path}
}

// Fill takes all the room but so many MiB.
func (d *Disk) Fill(t testing.TB, left int) {
	t.Helper()
	script := fmt.Sprintf(`free=$(df -Pk %[1]s | awk 'NR == 2 { print $4 }')
dd if=/dev/zero of=%[1]s/ballast bs=64k count=$(((free - %[2]d * 1024 + 63) / 64)) 2>/dev/null; true`, diskMount, left)
	d.keeper.Exec(t, "sh", "-c", script)
}

// Free gives the room back.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	d.keeper.Exec(t, "rm", "-f", diskMount+"/ballast")
}

// Revive starts a server that ended by itself, as a supervisor does, until it is ready; nothing where it has not.
func (c *Container) Revive(t testing.TB) {
	t.Helper()
	EventuallyEvery(t, 500*time.Millisecond, startTimeout, func(ctx context.Context) error {
		state, err := c.docker.State(ctx)
		if err == nil && !state.Running {
			err = c.docker.Start(ctx)
		}
		if err != nil {
			return fmt.Errorf("start it again: %w", err)
		}
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return c.ready(attempt)
	})
}

package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// ownerLabel marks a container with the process that removes it.
const ownerLabel = "callplane.testkit.owner"

var reapOnce sync.Once

// owner names this process among those that use the same engine.
func owner() string {
	host, _ := os.Hostname()
	return host + "/" + strconv.Itoa(os.Getpid())
}

// reap removes containers of test processes of this machine that were killed before they could do
// it themselves.
func reap(ctx context.Context) { removeAll(ctx, orphaned) }

// removeAll removes the containers whose owner matches, and their networks.
func removeAll(ctx context.Context, matches func(owner string) bool) {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return // Starting one tells what is wrong with the engine.
	}
	defer engine.Close() //nolint:errcheck // Nothing is in hand.
	owned := client.Filters{}.Add("label", ownerLabel)
	found, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: owned})
	if err != nil {
		return
	}
	for _, c := range found.Items {
		if matches(c.Labels[ownerLabel]) {
			if _, err := engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
				fmt.Fprintf(os.Stderr, "testkit: remove a container of an interrupted test: %v\n", err)
			}
		}
	}
	networks, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: owned})
	if err != nil {
		return
	}
	for _, n := range networks.Items {
		if matches(n.Labels[ownerLabel]) {
			if _, err := engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil {
				fmt.Fprintf(os.Stderr, "testkit: remove a network of an interrupted test: %v\n", err)
			}
		}
	}
}

// orphaned tells whether a container's owner was a process of this machine that is gone.
func orphaned(label string) bool {
	host, pid, ok := strings.Cut(label, "/")
	here, _ := os.Hostname()
	number, err := strconv.Atoi(pid)
	if !ok || err != nil || host != here {
		return false
	}
	return errors.Is(syscall.Kill(number, 0), syscall.ESRCH)
}

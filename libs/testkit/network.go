package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
)

// link is a container's place on a network: the other containers there reach it by the alias. The
// zero value is no network of its own.
type link struct {
	network *testcontainers.DockerNetwork
	alias   string
}

// newNetwork makes a network for containers that talk to each other. It ends with the test, after
// them.
func newNetwork(t testing.TB) (*testcontainers.DockerNetwork, error) {
	t.Helper()
	reapOnce.Do(func() { reap(t.Context()) })
	made, err := network.New(t.Context(), network.WithLabels(map[string]string{ownerLabel: owner()}))
	if err != nil {
		return nil, fmt.Errorf("make a network: %w", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := made.Remove(ctx); err != nil {
			t.Errorf("testkit: remove a network: %v", err)
		}
	})
	return made, nil
}

// join adds the container to its network.
func (l link) join() testcontainers.CustomizeRequestOption {
	return network.WithNetwork([]string{l.alias}, l.network)
}

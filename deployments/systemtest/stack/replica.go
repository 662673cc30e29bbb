package stack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
)

// Replica describes one more process of a service, with settings of its own beside those of the stack's, and another binary where one is given.
// It ends with the test. What it logged is kept in a file, under the name, where the test failed.
func (s *Stack) Replica(t testing.TB, of *Process, name, binary string, settings map[string]string) *Process {
	t.Helper()
	p := of.With(settings)
	p.name = name
	if binary != "" {
		p.binary = binary
	}
	t.Cleanup(func() {
		p.End()
		log := s.inspect(t, p)
		if !t.Failed() {
			return
		}
		path := filepath.Join(testkit.Root(), ".run", "logs", strings.ReplaceAll(t.Name(), "/", "-"), name+".log")
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Logf("keeping the log of %s: %v", name, err)
			return
		}
		if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
			t.Logf("keeping the log of %s: %v", name, err)
			return
		}
		t.Logf("%s logged %s", name, path)
	})
	return p
}

// Setting is one of a process's settings.
func (p *Process) Setting(name string) string { return p.env[name] }

// ExampleReplica is Example as a Replica.
func (s *Stack) ExampleReplica(t testing.TB, principal string, settings map[string]string) *Process {
	t.Helper()
	broker := s.Vhost.URL(Orchestrator)
	s.tokens.addPassword(broker)
	return s.Replica(t, NewProcess(Orchestrator, Binary(t, Orchestrator), map[string]string{
		"AMQP_URL": broker, "API_URL": s.API.Base(), "API_DEV_USER": principal,
	}), Orchestrator, "", settings)
}

// ExampleQueue is the queue of the example orchestrator.
const ExampleQueue = "orchestrator.events"

// AwaitExampleBound waits until the example orchestrator has bound its queue: an event that is
// published before does not get there.
func (s *Stack) AwaitExampleBound(t testing.TB) {
	t.Helper()
	path := "/api/queues/" + url.PathEscape(s.Vhost.Name) + "/" + ExampleQueue + "/bindings"
	testkit.Eventually(t, Patience, func(ctx context.Context) error {
		var bindings []struct{ Source string }
		if err := s.Vhost.Broker.Management.Do(ctx, http.MethodGet, path, nil, &bindings); err != nil {
			return fmt.Errorf("reading the bindings of %s: %w", ExampleQueue, err)
		}
		bound := 0
		for _, binding := range bindings {
			if binding.Source == topology.EventsExchange {
				bound++
			}
		}
		if bound < 2 {
			return fmt.Errorf("%s has %d bindings to %s", ExampleQueue, bound, topology.EventsExchange)
		}
		return nil
	})
}

// By is a URL by way of another address (host:port).
func By(t testing.TB, address, by string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("a server's URL can't be read")
	}
	u.Host = by
	return u.String()
}

// HostOf is the host and port of a URL.
func HostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("a server's URL can't be read")
	}
	return u.Host
}

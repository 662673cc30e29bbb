//go:build integration

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
)

// link is a network between two, which can be broken.
type link struct{ proxy *toxiproxy.Proxy }

// link makes the network from one to another, whose address is target. It ends with the test.
func (w *world) link(t *testing.T, from, to, target string) *link {
	t.Helper()
	name := schedule.Link(from, to)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &link{proxy: toxiproxy.NewProxy(server, name, "127.0.0.1:0", target)}
	if err := l.proxy.Start(); err != nil {
		t.Fatalf("making the link %s: %v", name, err)
	}
	t.Cleanup(l.proxy.Stop)
	w.links[name] = l
	return l
}

func (l *link) address() string { return l.proxy.Listen }

// cut breaks all connections, and lets nobody connect until mended.
func (l *link) cut() { l.proxy.Stop() }

// mended lets everybody connect again.
func (l *link) mended() error {
	if err := l.proxy.Start(); err != nil {
		return fmt.Errorf("mending a link: %w", err)
	}
	return nil
}

// slow has everything take long, in both directions.
const (
	delay  = 250 // milliseconds
	jitter = 150
)

// toxics are what makes a link bad by the kind of the fault: the direction and what happens there.
var toxics = map[schedule.Kind][]map[string]any{
	schedule.Slow: {
		{"type": "latency", "stream": "downstream", "attributes": map[string]int{"latency": delay, "jitter": jitter}},
		{"type": "latency", "stream": "upstream", "attributes": map[string]int{"latency": delay, "jitter": jitter}},
	},
	schedule.HalfOpen: {
		{"type": "timeout", "stream": "downstream", "attributes": map[string]int{"timeout": 0}}, // answers vanish, and nobody closes
	},
}

// spoil makes the link bad.
func (l *link) spoil(kind schedule.Kind) error {
	for n, toxic := range toxics[kind] {
		toxic["name"] = fmt.Sprint(kind, n)
		encoded, err := json.Marshal(toxic)
		if err != nil {
			return fmt.Errorf("making a link bad: %w", err)
		}
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(encoded))); err != nil {
			return fmt.Errorf("making a link bad: %w", err)
		}
	}
	return nil
}

// heal makes it good again.
func (l *link) heal(kind schedule.Kind) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for n := range toxics[kind] {
		if err := l.proxy.Toxics.RemoveToxic(ctx, fmt.Sprint(kind, n)); err != nil {
			return fmt.Errorf("making a link good: %w", err)
		}
	}
	return nil
}

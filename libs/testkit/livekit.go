package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"testing"
)

// containerHost is the name by which a container reaches this machine.
const containerHost = "host.docker.internal"

// LiveKitServer is a LiveKit server. Its Container is nil where TEST_LIVEKIT_URL names the server,
// its Redis where it has none.
type LiveKitServer struct {
	*Container
	URL       string // of the server API, http
	WSURL     string // for clients, ws
	APIKey    string
	APISecret string
	Redis     *Container
}

// LiveKit starts a server for this test with the settings of deployments/livekit, which sends its
// webhooks to webhookURL. A webhookURL of this machine's loopback is reached from the container by
// the machine's address there, so the receiver has to listen on all addresses (":8081"). It may be
// empty: webhooks then go nowhere.
func LiveKit(t testing.TB, webhookURL string) *LiveKitServer {
	t.Helper()
	needMain(t)
	server, err := externalLiveKit()
	if err != nil {
		t.Fatalf("testkit: LiveKit: %v", err)
	}
	if server != nil {
		return server
	}
	server, err = startLiveKit(t.Context(), webhookURL, link{})
	if err != nil {
		t.Fatalf("testkit: LiveKit: %v", err)
	}
	server.own(t)
	return server
}

// startLiveKit starts a server; one that is on a network finds Redis there.
func startLiveKit(ctx context.Context, webhookURL string, place link) (*LiveKitServer, error) {
	image, err := pinned("LIVEKIT_IMAGE")
	if err != nil {
		return nil, err
	}
	hook, err := fromContainer(webhookURL)
	if err != nil {
		return nil, err
	}
	port, errPort := freePort()
	tcp, errTCP := freePort()
	udp, errUDP := freePort()
	if err := errors.Join(errPort, errTCP, errUDP); err != nil {
		return nil, err
	}
	values := map[string]string{
		"LIVEKIT_PORT": strconv.Itoa(port), "LIVEKIT_TCP_PORT": strconv.Itoa(tcp), "LIVEKIT_UDP_PORT": strconv.Itoa(udp),
		"LIVEKIT_API_KEY": "key" + random(4), "LIVEKIT_API_SECRET": random(24), "LIVEKIT_WEBHOOK_URL": hook,
	}
	config, err := render("livekit/livekit.yaml", func(name string) (string, error) {
		value, ok := values[name]
		if !ok {
			return "", fmt.Errorf("testkit has no value for %s", name)
		}
		return value, nil
	})
	if err != nil {
		return nil, err
	}
	if place.network != nil {
		config += fmt.Sprintf("redis:\n  address: %s\n", net.JoinHostPort(redisAlias, redisPort))
	}
	server := &LiveKitServer{
		URL: "http://127.0.0.1:" + values["LIVEKIT_PORT"], WSURL: "ws://127.0.0.1:" + values["LIVEKIT_PORT"],
		APIKey: values["LIVEKIT_API_KEY"], APISecret: values["LIVEKIT_API_SECRET"],
	}
	server.Container, err = run(ctx, spec{
		image: image,
		link:  place,
		cmd:   []string{"--config", "/etc/livekit.yaml"},
		files: map[string]string{"/etc/livekit.yaml": config},
		// Clients are told these numbers by the server, so they are the same inside and outside.
		ports: map[string]int{fmt.Sprintf("%d/tcp", port): port, fmt.Sprintf("%d/tcp", tcp): tcp, fmt.Sprintf("%d/udp", udp): udp},
		ready: server.ping,
	})
	return server, err
}

// fromContainer is a URL of this machine as a container calls it.
func fromContainer(address string) (string, error) {
	if address == "" {
		return "http://127.0.0.1:9/", nil // The discard port: refused at once.
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("webhook URL: %w", err)
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		u.Host = containerHost + ":" + u.Port()
	}
	return u.String(), nil
}

// ping fails until the server answers.
func (s *LiveKitServer) ping(ctx context.Context) error { return answers(ctx, s.URL) }

// externalLiveKit returns the server of TEST_LIVEKIT_URL, nil where it is not set.
func externalLiveKit() (*LiveKitServer, error) {
	setting := os.Getenv("TEST_LIVEKIT_URL")
	if setting == "" {
		return nil, nil //nolint:nilnil // None is asked for.
	}
	u, err := url.Parse(setting)
	key, secret := os.Getenv("TEST_LIVEKIT_KEY"), os.Getenv("TEST_LIVEKIT_SECRET")
	if err != nil || u.Host == "" || key == "" || secret == "" {
		return nil, errors.New("TEST_LIVEKIT_URL must be a URL such as http://127.0.0.1:7880, together with TEST_LIVEKIT_KEY and TEST_LIVEKIT_SECRET")
	}
	ws := "ws://"
	if u.Scheme == "https" || u.Scheme == "wss" {
		ws = "wss://"
	}
	http := map[string]string{"ws://": "http://", "wss://": "https://"}[ws]
	return &LiveKitServer{URL: http + u.Host, WSURL: ws + u.Host, APIKey: key, APISecret: secret}, nil
}

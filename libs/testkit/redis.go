package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
)

// redisAlias and redisPort are how LiveKit reaches its Redis.
const (
	redisAlias = "redis"
	redisPort  = "6379"
)

// LiveKitWithRedis is LiveKit with a Redis of its own beside it, which keeps rooms and participants
// as it does for a cluster: they outlive the server. It runs in containers also where
// TEST_LIVEKIT_URL names a server. Redis keeps its data when it is killed.
func LiveKitWithRedis(t testing.TB, webhookURL string) *LiveKitServer {
	t.Helper()
	needMain(t)
	network, err := newNetwork(t)
	if err != nil {
		t.Fatalf("testkit: Redis: %v", err)
	}
	redis, err := startRedis(t.Context(), link{network: network, alias: redisAlias})
	if err != nil {
		t.Fatalf("testkit: Redis: %v", err)
	}
	redis.own(t)
	server, err := startLiveKit(t.Context(), webhookURL, link{network: network, alias: "livekit"})
	if err != nil {
		t.Fatalf("testkit: LiveKit: %v", err)
	}
	server.own(t)
	server.Redis = redis
	return server
}

func startRedis(ctx context.Context, place link) (*Container, error) {
	image, err := pinned("REDIS_IMAGE")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return run(ctx, spec{
		image: image,
		cmd:   []string{"redis-server", "--protected-mode", "no", "--appendonly", "yes", "--appendfsync", "always"},
		ports: map[string]int{redisPort + "/tcp": port},
		link:  place,
		ready: func(ctx context.Context) error { return pingRedis(ctx, address) },
	})
}

// pingRedis fails until Redis answers.
func pingRedis(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect to Redis: %w", err)
	}
	defer conn.Close() //nolint:errcheck // Nothing is in hand.
	if deadline, set := ctx.Deadline(); set {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("ask Redis: %w", err)
		}
	}
	const ask, want = "PING\r\n", "+PONG\r\n"
	got := make([]byte, len(want))
	_, errAsk := conn.Write([]byte(ask))
	_, errRead := io.ReadFull(conn, got)
	if err := errors.Join(errAsk, errRead); err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	if string(got) != want {
		return fmt.Errorf("redis answers %q", got)
	}
	return nil
}

package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports are taken below the range from which the kernel gives them to outgoing connections, so that none of those gets in between.
const lowestPort, highestPort = 20000, 32000

var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// FreePort returns a port that is free on loopback for TCP and UDP, and is not given out again by this process.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return port
}

func freePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range 200 {
		port := lowestPort + rand.IntN(highestPort-lowestPort) //nolint:gosec // No secret.
		if !ports.taken[port] && isFree(port) {
			ports.taken[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", lowestPort, highestPort)
}

func isFree(port int) bool {
	// All addresses, since a server of a test may listen on them.
	address := net.JoinHostPort("", strconv.Itoa(port))
	tcp, err := net.Listen("tcp", address) //nolint:noctx // Closed at once.
	if err != nil {
		return false
	}
	defer tcp.Close()                            //nolint:errcheck // Only a probe.
	udp, err := net.ListenPacket("udp", address) //nolint:noctx // Closed at once.
	if err != nil {
		return false
	}
	_ = udp.Close()
	return true
}

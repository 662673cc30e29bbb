// Package testkit gives tests the real parts: PostgreSQL, RabbitMQ and LiveKit in containers of the pinned images, set up by the same files
// as everywhere else, or servers that already run:
//
//	TEST_POSTGRES_URL             a superuser's URL; passwords of the services' roles come from the environment or the top-level .env
//	TEST_RABBITMQ_URL             an administrator's AMQP URL, with TEST_RABBITMQ_MANAGEMENT_URL; passwords likewise
//	TEST_LIVEKIT_URL              with TEST_LIVEKIT_KEY and TEST_LIVEKIT_SECRET; its webhooks go where that server sends them
//
// A test binary starts at most one shared container of each kind; a test gets a database or a virtual host of its own in it. Tests of
// failures get a container of their own. TestMain must call Main.
package testkit

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var mainCalled atomic.Bool

// Main runs the tests of a package, removes what the kit started, also on an interrupt, and fails where a goroutine is left over. It does
// not return. A TestMain is one line: func TestMain(m *testing.M) { testkit.Main(m) }
func Main(m *testing.M, options ...goleak.Option) {
	mainCalled.Store(true)
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		select {
		case <-interrupted.Done():
			abandon() //nolint:contextcheck // The context that there is has just ended.
		case <-finished:
		}
	}()
	code := m.Run()
	shared.close(code != 0)
	close(finished)
	stop()
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintf(os.Stderr, "goroutines left over by the tests: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// LeftByToxiproxy is for Main where tests go through toxiproxy (2.5.0): when one end of a connection is gone while the other still sends, its
// goroutines wait for ever to pass on what nobody reads any more.
func LeftByToxiproxy() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
	}
}

// abandon ends an interrupted run without its containers, those of single tests among them.
func abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	removeAll(ctx, func(label string) bool { return label == owner() })
	cancel()
	os.Exit(130)
}

// needMain fails a test that would leave containers behind.
func needMain(t testing.TB) {
	t.Helper()
	if !mainCalled.Load() {
		t.Fatal("testkit: this package needs func TestMain(m *testing.M) { testkit.Main(m) }, which removes the containers")
	}
}

// Root returns the repository's top folder.
func Root() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		panic("testkit: built without file names")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Context returns a context for a step of a test, ended by timeout or the test's end.
func Context(t testing.TB, timeout time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// Eventually calls check, every few milliseconds and with a context of the time that is left, until it returns nil; the test fails with
// check's last error where it doesn't within timeout.
func Eventually(t testing.TB, timeout time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	EventuallyEvery(t, 20*time.Millisecond, timeout, check)
}

// EventuallyEvery is Eventually where check is called every interval only: where it costs something, and many tests wait side by side.
func EventuallyEvery(t testing.TB, interval, timeout time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := until(ctx, interval, check); err != nil {
		t.Fatalf("not within %s: %v", timeout, err)
	}
}

// until calls check every interval until it returns nil, or returns check's last error when ctx ends.
func until(ctx context.Context, interval time.Duration, check func(ctx context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := error(nil)
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // What the end of ctx itself caused says less than what came before.
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}

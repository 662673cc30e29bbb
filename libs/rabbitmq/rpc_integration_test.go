//go:build integration

package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

const command = "token.issue"

// asker is a client, connected by way of url, of the user whose URL it is.
func asker(t testing.TB, url config.Secret, timeout time.Duration) *RPCClient {
	t.Helper()
	c := connector(t, url, "client")
	if !strings.Contains(url.Reveal(), "//admin:") {
		DeclareOn(c, topology.Shared(1))
	}
	client := NewRPCClient(c, "test", timeout)
	start(t, c)
	require.Eventually(t, func() bool { return client.current.Load() != nil }, patience, 5*time.Millisecond)
	return client
}

// server answers commands, as the user bridge.
func server(t testing.TB, v *testkit.Vhost, concurrency int, h RequestHandler) *running {
	t.Helper()
	c := connector(t, config.Secret(v.URL("bridge")), "server")
	DeclareOn(c, topology.Shared(1))
	NewRPCServer(c, "test", RPCServerConfig{
		Queue: topology.CommandsQueue, Topology: topology.Commands(), Users: []string{"sessions"}, Concurrency: concurrency, MaxBody: 1 << 10,
	}, h)
	r := start(t, c)
	connected(t, r)
	require.Eventually(t, func() bool { return consumersOf(t, v, topology.CommandsQueue) > 0 }, patience, 10*time.Millisecond)
	return r
}

func echo(_ context.Context, r Request) ([]byte, error) {
	return append([]byte("echo "), r.Body...), nil
}

func TestARequestIsAnswered(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	client := asker(t, config.Secret(v.URL("sessions")), patience)
	var got atomic.Pointer[Request]
	server(t, v, 8, func(ctx context.Context, r Request) ([]byte, error) {
		got.Store(&r)
		assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", trace.SpanContextFromContext(ctx).TraceID().String(), "the trace goes on")
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
		return echo(ctx, r)
	})
	parent := extractTrace(t.Context(), map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	reply, err := client.Call(parent, topology.CommandsExchange, command, []byte("hello"), map[string]string{"x-extra": "1"})
	require.NoError(t, err)
	assert.Equal(t, "echo hello", string(reply))
	assert.Equal(t, command, got.Load().Key)
	assert.Equal(t, "sessions", got.Load().UserID)
	assert.Equal(t, "1", got.Load().Headers["x-extra"])
}

func TestManyRequestsAtOnceEachGetTheirOwnReply(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	client := asker(t, config.Secret(v.URL("sessions")), patience)
	server(t, v, 4, echo)
	server(t, v, 4, echo)
	var calls sync.WaitGroup
	for n := range 200 {
		calls.Go(func() {
			reply, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte(fmt.Sprint(n)), nil)
			if assert.NoError(t, err) {
				assert.Equal(t, fmt.Sprint("echo ", n), string(reply))
			}
		})
	}
	calls.Wait()
}

func TestARequestThatNobodyServesFailsAtOnce(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	client := asker(t, config.Secret(v.URL("sessions")), time.Hour)
	ask := func() error {
		_, err := client.Call(testkit.Context(t, patience), topology.CommandsExchange, command, []byte("x"), nil)
		return err
	}
	require.ErrorIs(t, ask(), ErrUnroutable, "never served")
	r := server(t, v, 1, echo)
	require.NoError(t, ask())
	r.stop()
	require.Eventually(t, func() bool { return errors.Is(ask(), ErrUnroutable) }, patience, 10*time.Millisecond, "no longer served")
	server(t, v, 1, echo)
	require.NoError(t, ask())
}

func TestARequestWithoutAReplyTimesOut(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	client := asker(t, config.Secret(v.URL("sessions")), 100*time.Millisecond)
	var handled atomic.Int32
	told := make(chan error, 1)
	server(t, v, 1, func(ctx context.Context, _ Request) ([]byte, error) {
		if handled.Add(1) > 1 {
			return []byte("again"), nil
		}
		<-ctx.Done()
		told <- ctx.Err()
		return nil, ctx.Err()
	})
	_, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
	require.ErrorIs(t, err, ErrTimeout)
	require.ErrorIs(t, <-told, context.DeadlineExceeded, "the server stops working on it")

	giveUp, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Call(giveUp, topology.CommandsExchange, command, []byte("x"), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrTimeout)
}

func TestAnExpiredRequestIsNeverHandled(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	client := asker(t, config.Secret(v.URL("sessions")), patience)
	var handled sync.Map
	busy, free := make(chan struct{}), make(chan struct{})
	server(t, v, 1, func(ctx context.Context, r Request) ([]byte, error) {
		handled.Store(string(r.Body), true)
		if string(r.Body) == "first" {
			close(busy)
			<-free
		}
		return echo(ctx, r)
	})
	var first sync.WaitGroup
	first.Go(func() {
		_, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte("first"), nil)
		assert.NoError(t, err)
	})
	<-busy
	_, err := client.Call(testkit.Context(t, 150*time.Millisecond), topology.CommandsExchange, command, []byte("late"), nil)
	require.ErrorIs(t, err, ErrTimeout)
	close(free)
	first.Wait()
	_, err = client.Call(t.Context(), topology.CommandsExchange, command, []byte("next"), nil)
	require.NoError(t, err)
	_, late := handled.Load("late")
	assert.False(t, late)
}

func TestAFailedRequestIsToldWithoutItsReason(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	client := asker(t, config.Secret(v.URL("sessions")), patience)
	server(t, v, 1, func(context.Context, Request) ([]byte, error) { return nil, errors.New("password=hunter2") })
	_, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
	require.ErrorIs(t, err, ErrRemote)
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestRequestsOfOthersAndTooLargeOnesAreDropped(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	var handled atomic.Int32
	server(t, v, 1, func(ctx context.Context, r Request) ([]byte, error) {
		handled.Add(1)
		return echo(ctx, r)
	})
	ours := asker(t, config.Secret(v.URL("sessions")), 300*time.Millisecond)
	others := asker(t, config.Secret(v.URL("admin")), 300*time.Millisecond)
	_, err := others.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
	require.ErrorIs(t, err, ErrTimeout)
	_, err = ours.Call(t.Context(), topology.CommandsExchange, command, make([]byte, 2<<10), nil)
	require.ErrorIs(t, err, ErrTimeout)
	assert.Zero(t, handled.Load())
	_, err = ours.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
	require.NoError(t, err, "the server goes on")
	assert.Equal(t, int32(1), handled.Load())
}

// Only sessions may give commands; the bridge's own user is refused by the broker.
func TestOnlyThePermittedUserMayAsk(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	server(t, v, 1, echo)
	client := asker(t, config.Secret(v.URL("bridge")), patience)
	_, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
	require.ErrorIs(t, err, ErrRefused)
}

func TestALostConnectionAnswersEveryCall(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	link, url := newProxy(t, v.URL("sessions"))
	client := asker(t, url, time.Hour)
	busy, free := make(chan struct{}, 10), make(chan struct{})
	var slow atomic.Bool
	slow.Store(true)
	server(t, v, 10, func(ctx context.Context, r Request) ([]byte, error) {
		busy <- struct{}{}
		if slow.Load() {
			<-free
		}
		return echo(ctx, r)
	})
	errs := make(chan error, 5)
	var calls sync.WaitGroup
	for range cap(errs) {
		calls.Go(func() {
			_, err := client.Call(testkit.Context(t, patience/2), topology.CommandsExchange, command, []byte("x"), nil)
			errs <- err
		})
	}
	for range cap(errs) {
		<-busy
	}
	link.Down()
	for range cap(errs) {
		require.ErrorIs(t, <-errs, ErrUnconfirmed)
	}
	calls.Wait()
	_, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
	require.ErrorIs(t, err, ErrUnavailable, "without a connection it is said at once")
	slow.Store(false)
	close(free)
	link.Up()
	require.Eventually(t, func() bool {
		_, err := client.Call(testkit.Context(t, time.Second), topology.CommandsExchange, command, []byte("x"), nil)
		return err == nil
	}, patience, 20*time.Millisecond)
}

// A network that has lost its way without a word: the call is bounded all the same.
func TestACallOverASilentConnectionTimesOut(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	link, url := newProxy(t, v.URL("sessions"))
	client := asker(t, url, 200*time.Millisecond)
	server(t, v, 1, echo)
	link.Freeze()
	_, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
	require.ErrorIs(t, err, ErrTimeout)
	link.Thaw()
	require.Eventually(t, func() bool {
		_, err := client.Call(testkit.Context(t, time.Second), topology.CommandsExchange, command, []byte("x"), nil)
		return err == nil
	}, patience, 20*time.Millisecond)
}

func TestAServerThatStopsFinishesWhatItHasInHand(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	client := asker(t, config.Secret(v.URL("sessions")), patience)
	busy, free := make(chan struct{}), make(chan struct{})
	r := server(t, v, 1, func(ctx context.Context, r Request) ([]byte, error) {
		close(busy)
		<-free
		assert.NoError(t, ctx.Err())
		return echo(ctx, r)
	})
	var first sync.WaitGroup
	first.Go(func() {
		reply, err := client.Call(t.Context(), topology.CommandsExchange, command, []byte("x"), nil)
		if assert.NoError(t, err) {
			assert.Equal(t, "echo x", string(reply))
		}
	})
	<-busy
	var stopping sync.WaitGroup
	stopping.Go(r.stop)
	require.Eventually(t, func() bool {
		_, err := client.Call(testkit.Context(t, 100*time.Millisecond), topology.CommandsExchange, command, []byte("y"), nil)
		return errors.Is(err, ErrUnroutable)
	}, patience, 10*time.Millisecond, "new requests are turned away meanwhile")
	close(free)
	first.Wait()
	stopping.Wait()
}

func BenchmarkCall(b *testing.B) {
	v := testkit.Rabbit(b).Vhost(b)
	client := asker(b, config.Secret(v.URL("sessions")), patience)
	server(b, v, 16, echo)
	b.ResetTimer()
	for b.Loop() {
		if _, err := client.Call(b.Context(), topology.CommandsExchange, command, []byte("x"), nil); err != nil {
			b.Fatal(err)
		}
	}
}

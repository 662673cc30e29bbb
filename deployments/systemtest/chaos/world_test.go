//go:build integration

package chaos

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	replicas = 2
	diskSize = 320 // MiB
	// startPatience is how long a process may take until it has everything that it needs.
	startPatience = 2 * time.Minute
	// watcher is a member of every session, and principal what the orchestrator reads as.
	watcher   = "watcher"
	principal = "orchestrator"
)

// Grace periods are short and comparisons are rare, so that a grace period often ends between two
// comparisons, when LiveKit has to be asked. A room outlives its last participant by little, so that
// calls end within the run.
var bridgeSettings = map[string]string{
	"RECONNECT_WINDOW": "6s", "RECONCILE_INTERVAL": "12s", "ROOM_DEPARTURE_TIMEOUT": "8s", "LOG_LEVEL": "info",
}

// world is everything that a run has.
type world struct {
	*stack.Stack

	recorder  *history.Recorder
	disks     map[string]*testkit.Disk
	servers   map[string]*testkit.Container
	processes map[string]*stack.Process // replicas and the orchestrator
	links     map[string]*link
	consumers *consumers
	over      chan struct{} // closed after the last fault, when everything is up again

	identities    sync.Map // of who may join a room, by the room's name
	stopObserving context.CancelFunc
}

// newWorld starts everything that can have faults of the kinds: servers, two replicas of each
// service with a link to each of what they need, and balancers before them.
func newWorld(t *testing.T, sabotage string, kinds schedule.Targets) *world {
	t.Helper()
	w := &world{
		recorder: history.NewRecorder(), consumers: newConsumers(), over: make(chan struct{}), processes: map[string]*stack.Process{}, links: map[string]*link{},
		disks: map[string]*testkit.Disk{schedule.Database: testkit.NewDisk(t, diskSize), schedule.Broker: testkit.NewDisk(t, diskSize)},
	}
	database := testkit.OwnPostgresOn(t, w.disks[schedule.Database])
	broker := testkit.OwnRabbitOn(t, w.disks[schedule.Broker])
	options := []stack.Option{
		stack.OnPostgres(database), stack.WithWebhookProxy(), stack.WithRoomServiceProxy(), stack.WithBridge(bridgeSettings), stack.WithoutCheck(),
	}
	if len(kinds[schedule.Redis]) > 0 {
		options = append(options, stack.WithRedis())
	}
	w.Stack = stack.Prepare(t, broker, options...)
	w.servers = map[string]*testkit.Container{
		schedule.Database: database.Container, schedule.Broker: broker.Container, schedule.LiveKit: w.LiveKit.Container,
		schedule.RedisKilled: w.LiveKit.Redis, schedule.RedisStalled: w.LiveKit.Redis,
	}
	w.addReplicas(t, schedule.Sessions, w.Sessions, sabotage)
	w.addReplicas(t, schedule.Bridge, w.Bridge, sabotage)
	w.processes[schedule.Orchestrator] = w.ExampleReplica(t, principal, nil)
	for _, name := range w.inOrder() {
		w.processes[name].Start(t)
		w.awaitReady(t, name)
	}
	w.AwaitExampleBound(t)
	w.afterStart(t, sabotage)
	w.beginObserving(t)
	return w
}

// inOrder names the processes; the first of each service makes its schema.
func (w *world) inOrder() []string {
	var names []string
	for n := range replicas {
		names = append(names, schedule.Replica(schedule.Sessions, n+1), schedule.Replica(schedule.Bridge, n+1))
	}
	return append(names, schedule.Orchestrator)
}

// addReplicas describes the replicas of a service, and puts the balancer before them where the
// stack has the service itself.
func (w *world) addReplicas(t *testing.T, service string, like *stack.Process, sabotage string) {
	t.Helper()
	binary := binaryWithout(t, service, sabotage)
	clients := map[string]string{schedule.Sessions: schedule.Users, schedule.Bridge: schedule.Webhooks}[service]
	var behind []string
	for n := range replicas {
		name := schedule.Replica(service, n+1)
		address := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
		settings := map[string]string{
			"HTTP_ADDR":    address,
			"ADMIN_ADDR":   "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)),
			"DATABASE_URL": w.by(t, name, schedule.Database, like.Setting("DATABASE_URL")),
			"AMQP_URL":     w.by(t, name, schedule.Broker, like.Setting("AMQP_URL")),
			"LOG_LEVEL":    "info",
		}
		if service == schedule.Bridge {
			settings["LIVEKIT_API_URL"] = w.by(t, name, schedule.LiveKit, like.Setting("LIVEKIT_API_URL"))
		}
		w.processes[name] = w.Replica(t, like, name, binary, settings)
		behind = append(behind, w.link(t, clients, name, address).address())
	}
	_, port, err := net.SplitHostPort(like.Setting("HTTP_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	stack.Balance(t, "127.0.0.1:"+port, behind...)
}

// by is the URL of a server by way of a link of somebody's.
func (w *world) by(t *testing.T, from, to, url string) string {
	t.Helper()
	return stack.By(t, url, w.link(t, from, to, stack.HostOf(t, url)).address())
}

// awaitReady waits until a process serves; the orchestrator says nothing of that.
func (w *world) awaitReady(t *testing.T, name string) {
	t.Helper()
	if name == schedule.Orchestrator {
		return
	}
	api := callplane.New("http://" + w.processes[name].Setting("HTTP_ADDR"))
	defer api.Close()
	testkit.EventuallyEvery(t, 200*time.Millisecond, startPatience, func(ctx context.Context) error {
		if !w.processes[name].Running() {
			t.Fatalf("%s has ended by itself", name)
		}
		status, body, err := api.Ready(ctx)
		if err == nil && (status != 200 || string(body) == "" || degraded(body)) {
			err = fmt.Errorf("%s answers %d: %s", name, status, body)
		}
		return err
	})
}

// beginObserving takes down who LiveKit lists and whether a lane has two relays, until settle stops
// it or the test ends. The consumers end with the test, too.
func (w *world) beginObserving(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var observing sync.WaitGroup
	observing.Go(func() { w.observe(ctx) })
	observing.Go(func() { w.watchLanes(ctx) })
	w.stopObserving = func() {
		stop()
		observing.Wait()
	}
	t.Cleanup(func() {
		w.stopObserving()
		w.consumers.end()
	})
}

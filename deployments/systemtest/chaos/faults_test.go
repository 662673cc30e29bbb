//go:build integration

package chaos

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// inject breaks and mends by the schedule, one thing at a time, and then waits until everything is up again.
func (w *world) inject(t *testing.T, faults []schedule.Fault, length time.Duration) {
	pace, recorded := schedule.NewPace(time.Now(), length), map[schedule.Fault]time.Duration{}
	for _, step := range schedule.Steps(faults) {
		due, wanted := pace.Due(step, time.Now())
		if !wanted {
			continue
		}
		w.until(t, due)
		if !step.End {
			recorded[step.Fault] = w.recorder.Now()
			w.begin(t, step.Fault)
		} else {
			w.end(t, step.Fault)
		}
		t.Logf("%s: %s of %s, end: %t", at(w), step.Fault.Kind, step.Fault.Target, step.End)
		if step.End || step.Fault.Kind == schedule.Roll {
			w.recorder.Note(func(h *history.History) {
				h.Faults = append(h.Faults, history.Fault{
					Begin: recorded[step.Fault], End: time.Since(h.Began), Kind: string(step.Fault.Kind), Target: step.Fault.Target,
				})
			})
		}
	}
	t.Logf("%s: nothing is broken any more", at(w))
	for name, process := range w.processes {
		if !process.Running() {
			t.Errorf("%s has ended by itself", name)
			process.Start(t)
		}
	}
	for _, name := range w.inOrder() {
		w.awaitReady(t, name)
	}
	t.Logf("%s: everything is up", at(w))
}

func (w *world) until(t *testing.T, at time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(at)):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func (w *world) begin(t *testing.T, f schedule.Fault) {
	t.Helper()
	switch f.Kind {
	case schedule.Kill:
		if server, ok := w.servers[f.Target]; ok {
			server.Kill(t)
			return
		}
		w.processes[f.Target].Kill(t)
	case schedule.Roll:
		w.roll(t, f.Target)
	case schedule.Pause:
		w.processes[f.Target].Pause(t)
	case schedule.Cut:
		w.links[f.Target].cut()
	case schedule.Slow, schedule.HalfOpen:
		require.NoError(t, w.links[f.Target].spoil(f.Kind))
	case schedule.Fill:
		left := 0
		if f.Target == schedule.Broker {
			left = testkit.BrokerKeeps
		}
		w.disks[f.Target].Fill(t, left)
	case schedule.Lie:
		w.RoomService.TreatOthers(w.lie(f))
	case schedule.Redis:
		if f.Target == schedule.RedisStalled {
			w.servers[f.Target].Pause(t)
			return
		}
		w.servers[f.Target].Kill(t)
	}
}

func (w *world) end(t *testing.T, f schedule.Fault) {
	t.Helper()
	switch f.Kind {
	case schedule.Kill:
		if server, ok := w.servers[f.Target]; ok {
			server.Revive(t)
			return
		}
		w.processes[f.Target].Start(t)
	case schedule.Pause:
		w.processes[f.Target].Resume(t)
	case schedule.Cut:
		require.NoError(t, w.links[f.Target].mended())
	case schedule.Slow, schedule.HalfOpen:
		require.NoError(t, w.links[f.Target].heal(f.Kind))
	case schedule.Fill:
		w.disks[f.Target].Free(t)
		w.servers[f.Target].Revive(t)
	case schedule.Lie:
		w.RoomService.TreatOthers(stack.Honest)
	case schedule.Redis:
		if f.Target == schedule.RedisStalled {
			w.servers[f.Target].Unpause(t)
			return
		}
		w.servers[f.Target].Revive(t)
	case schedule.Roll:
	}
}

// rollPatience is how long a roll waits for the replica that it has started, before it goes on: what that one needs may be broken too.
const rollPatience = 7 * time.Second

// roll ends each replica of a service in order and starts it again, one after the other.
func (w *world) roll(t *testing.T, service string) {
	t.Helper()
	for n := range replicas {
		name := schedule.Replica(service, n+1)
		w.processes[name].Stop(t)
		w.processes[name].Start(t)
		api := callplane.New("http://" + w.processes[name].Setting("HTTP_ADDR"))
		for began := time.Now(); time.Since(began) < rollPatience; w.until(t, time.Now().Add(100*time.Millisecond)) {
			if status, _, err := api.Ready(t.Context()); err == nil && status == 200 {
				break
			}
		}
		api.Close()
	}
}

// degraded says whether a service tells that it goes on without something.
func degraded(readyz json.RawMessage) bool {
	var ready struct{ Degraded []string }
	err := json.Unmarshal(readyz, &ready)
	return err != nil || len(ready.Degraded) > 0
}

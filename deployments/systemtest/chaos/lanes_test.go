//go:build integration

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
	"github.com/callplane/callplane/libs/outbox"
)

const (
	lanesEvery = 500 * time.Millisecond
	lanesTime  = 400 * time.Millisecond // bounds asking all replicas of a service: of answers that lie further apart nothing follows
)

// relays asks all replicas of a service which lanes of the outbox their relays hold. It returns how many hold each lane, and how many
// lanes each replica holds.
func (w *world) relays(ctx context.Context, service string) (ofLane [outbox.Lanes]int, ofReplica [replicas]int, err error) {
	for n := range replicas {
		series, err := w.processes[schedule.Replica(service, n+1)].Metrics(ctx)
		if err != nil {
			return ofLane, ofReplica, err
		}
		for lane := range ofLane {
			held := int(series[fmt.Sprintf(`outbox_held_lanes{lane="%d"}`, lane)])
			ofLane[lane] += held
			ofReplica[n] += held
		}
	}
	return ofLane, ofReplica, nil
}

// lanesAreShared: one relay holds each lane, and each as many as the others; it takes down how many hold each.
func (w *world) lanesAreShared(ctx context.Context) error {
	var failure error
	for _, service := range []string{schedule.Sessions, schedule.Bridge} {
		ofLane, ofReplica, err := w.relays(ctx, service)
		if err != nil {
			return err
		}
		for n, held := range ofReplica {
			if held != outbox.Lanes/replicas {
				failure = fmt.Errorf("replica %d of %s holds %d lanes", n+1, service, held)
			}
		}
		for lane, relays := range ofLane {
			if relays != 1 {
				failure = fmt.Errorf("%d relays of %s hold lane %d", relays, service, lane)
			}
		}
		w.recorder.Note(func(h *history.History) {
			for lane, relays := range ofLane {
				h.Lanes[history.Lane{Service: service, Number: lane}] = relays
			}
		})
	}
	return failure
}

// watchLanes takes down for how long two relays hold the same lane, until ctx ends.
func (w *world) watchLanes(ctx context.Context) {
	since := map[history.Lane]time.Time{}
	for tick := time.NewTicker(lanesEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		for _, service := range []string{schedule.Sessions, schedule.Bridge} {
			for number, relays := range w.relaysNow(ctx, service) {
				lane := history.Lane{Service: service, Number: number}
				if relays < 2 {
					delete(since, lane)
					continue
				}
				if _, already := since[lane]; !already {
					since[lane] = time.Now()
				}
				w.recorder.Note(func(h *history.History) { h.Contended[lane] = max(h.Contended[lane], time.Since(since[lane])) })
			}
		}
	}
}

// relaysNow returns how many relays of a service hold each lane, none where a replica doesn't answer.
func (w *world) relaysNow(ctx context.Context, service string) [outbox.Lanes]int {
	ctx, cancel := context.WithTimeout(ctx, lanesTime)
	defer cancel()
	ofLane, _, err := w.relays(ctx, service)
	if err != nil {
		return [outbox.Lanes]int{}
	}
	return ofLane
}

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

// lanes asks each replica of a service how many lanes of the outbox its relay holds.
func (w *world) lanes(ctx context.Context, service string) (each []int, all int, err error) {
	for n := range replicas {
		series, err := w.processes[schedule.Replica(service, n+1)].Metrics(ctx)
		if err != nil {
			return nil, 0, err
		}
		held := int(series["outbox_held_lanes"])
		each, all = append(each, held), all+held
	}
	return each, all, nil
}

// lanesAreShared: the relays of each service hold all lanes, and no more; it takes down how many they hold.
func (w *world) lanesAreShared(ctx context.Context) error {
	var failure error
	for _, service := range []string{schedule.Sessions, schedule.Bridge} {
		each, all, err := w.lanes(ctx, service)
		if err != nil {
			return err
		}
		for n, held := range each {
			if held != outbox.Lanes/replicas {
				failure = fmt.Errorf("replica %d of %s holds %d lanes", n+1, service, held)
			}
		}
		w.recorder.Note(func(h *history.History) { h.Lanes[service] = all })
	}
	return failure
}

// watchLanes takes down for how long the relays of a service hold more lanes than there are, until ctx ends.
func (w *world) watchLanes(ctx context.Context) {
	since := map[string]time.Time{}
	for tick := time.NewTicker(lanesEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		for _, service := range []string{schedule.Sessions, schedule.Bridge} {
			if !w.areContended(ctx, service) {
				delete(since, service)
				continue
			}
			if _, already := since[service]; !already {
				since[service] = time.Now()
			}
			w.recorder.Note(func(h *history.History) {
				h.Contended[service] = max(h.Contended[service], time.Since(since[service]))
			})
		}
	}
}

// areContended: the replicas of a service all answer, and hold more lanes together than there are.
func (w *world) areContended(ctx context.Context, service string) bool {
	ctx, cancel := context.WithTimeout(ctx, lanesTime)
	defer cancel()
	_, all, err := w.lanes(ctx, service)
	return err == nil && all > outbox.Lanes
}

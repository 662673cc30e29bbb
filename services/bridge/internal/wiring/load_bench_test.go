//go:build integration

package wiring

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	loadRooms = 500
	loadRate  = 200 // webhooks a second
	// loadSeconds is how long the load goes on, unless BENCH_LOAD_SECONDS says otherwise.
	loadSeconds = 60
	// setUpAtOnce is how many token commands are under way while the rooms are prepared.
	setUpAtOnce = 8
)

// BenchmarkWebhooksOfManyRooms has 500 rooms of two people each tell what a recorded call tells, 200 webhooks a second for a minute, each
// room's in order and one at a time. All must be answered 200 at the first attempt, and every room's events must come out at the broker,
// in order and nothing else. It is one run, however long -benchtime is.
func BenchmarkWebhooksOfManyRooms(b *testing.B) {
	seconds := loadSeconds
	if text := os.Getenv("BENCH_LOAD_SECONDS"); text != "" {
		var err error
		seconds, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	perRoom := seconds * loadRate / burst / loadRooms
	require.GreaterOrEqual(b, perRoom, 2, "BENCH_LOAD_SECONDS is too short for %d rooms", loadRooms)
	a := newAlone(b)
	a.start(b)
	sessions := a.admit(b, loadRooms)
	recorded := templates(b)
	calls := make([][][]webhook, loadRooms)
	for n, session := range sessions {
		calls[n] = bursts(b, recorded, session, time.Now(), perRoom-2)
	}
	want := callEvents(perRoom - 2)
	b.ResetTimer()
	s := a.sender(b)
	floor := a.commits(b)
	began := time.Now()
	const between = time.Second * burst / loadRate
	var running sync.WaitGroup
	for n := range calls {
		running.Go(func() {
			s.room(b.Context(), calls[n], func(k int) time.Time { return began.Add(time.Duration(k*loadRooms+n) * between) })
		})
	}
	running.Wait()
	sent := time.Since(began)
	testkit.Eventually(b, time.Minute, func(context.Context) error {
		if heard := a.sessions.count(); heard < loadRooms*len(want) {
			return fmt.Errorf("%d of %d events have come", heard, loadRooms*len(want))
		}
		return nil
	})
	heard := time.Since(began)
	b.StopTimer()
	b.ReportMetric(testkit.Percentile(floor(), 50), "one-commit-p50-ms")
	for _, session := range sessions {
		require.Equal(b, want, a.sessions.types(session))
	}
	require.Equal(b, loadRooms*len(want), a.count(`SELECT count(*) FROM outbox`), "each event is stored once")
	require.Equal(b, loadRooms*perRoom*burst, a.count(`SELECT count(*) FROM webhook_receipts`))
	s.answers.report(b, "")
	b.ReportMetric(float64(loadRooms*perRoom*burst)/sent.Seconds(), "webhooks/s")
	b.ReportMetric(float64(loadRooms*len(want))/heard.Seconds(), "events/s")
	b.ReportMetric(float64((heard - sent).Milliseconds()), "broker-behind-ms")
	b.ReportMetric(0, "ns/op")
}

// admit makes sessions in which alice and bob have tokens.
func (a *alone) admit(b *testing.B, count int) []string {
	b.Helper()
	list := make([]string, count)
	numbers := make(chan int, count)
	for n := range count {
		list[n] = newSession(b)
		numbers <- n
	}
	close(numbers)
	var running sync.WaitGroup
	for range setUpAtOnce {
		running.Go(func() {
			for n := range numbers {
				for _, user := range []string{"alice", "bob"} {
					if _, err := a.sessions.token(list[n], user, events.RoleParticipant); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	running.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return list
}

// commits has single rows committed, a few a second, until the function returned is called; that tells how long each took, in order of length.
func (a *alone) commits(b *testing.B) (end func() []time.Duration) {
	b.Helper()
	require.NoError(b, a.db.Exec(`CREATE TABLE floor (n int)`).Error)
	ctx, cancel := context.WithCancel(b.Context())
	took := make(chan []time.Duration, 1)
	go func() {
		var list []time.Duration
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			began := time.Now()
			if err := a.db.Exec(`INSERT INTO floor VALUES (?)`, len(list)).Error; err != nil {
				b.Error(err)
			}
			list = append(list, time.Since(began))
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
		slices.Sort(list)
		took <- list
	}()
	return func() []time.Duration {
		cancel()
		return <-took
	}
}

package testkit

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// Percentile returns how long those of durations took that are at the percent, in milliseconds.
func Percentile(durations []time.Duration, percent int) float64 {
	sorted := slices.Sorted(slices.Values(durations))
	return float64(sorted[(len(sorted)-1)*percent/100].Nanoseconds()) / 1e6
}

// Measure does something b.N times, so many at once, and reports how long each took and, as rate, how many a second there were.
func Measure(b *testing.B, atOnce int, rate string, do func(n int) error) {
	b.Helper()
	took := make([]time.Duration, b.N)
	numbers := make(chan int)
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for n := range numbers {
				began := time.Now()
				if err := do(n); err != nil {
					b.Errorf("the one with number %d: %v", n, err)
				}
				took[n] = time.Since(began)
			}
		})
	}
	began := time.Now()
	for n := range b.N {
		numbers <- n
	}
	close(numbers)
	running.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), rate)
	b.ReportMetric(Percentile(took, 50), "p50-ms")
	b.ReportMetric(Percentile(took, 99), "p99-ms")
}

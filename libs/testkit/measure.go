package testkit

import (
	"context"
	"runtime/pprof"
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

// Measured is what it took to do one thing many times, in rounds, so that another thing can be measured in the same moments.
type Measured struct {
	what  string
	took  []time.Duration
	whole time.Duration
}

// NewMeasured returns an empty one. A CPU profile of this process has, of all that is done in its
// rounds, what as the label "measured" and the benchmark's name as the label "benchmark".
func NewMeasured(what string) *Measured { return &Measured{what: what} }

// Round does something count times, so many at once, and adds it to what was measured. Each is given its number, counted over all rounds from
// 0. An error fails the benchmark.
func (m *Measured) Round(b *testing.B, count, atOnce int, do func(n int) error) {
	b.Helper()
	first := len(m.took)
	m.took = append(m.took, make([]time.Duration, count)...)
	numbers := make(chan int, count)
	for n := range count {
		numbers <- first + n
	}
	close(numbers)
	var running sync.WaitGroup
	began := time.Now()
	for range atOnce {
		running.Go(func() {
			pprof.Do(b.Context(), pprof.Labels("benchmark", b.Name(), "measured", m.what), func(context.Context) {
				for n := range numbers {
					began := time.Now()
					if err := do(n); err != nil {
						b.Errorf("%s, number %d: %v", m.what, n, err)
						return
					}
					m.took[n] = time.Since(began)
				}
			})
		})
	}
	running.Wait()
	m.whole += time.Since(began)
	if b.Failed() {
		b.FailNow()
	}
}

// Rate returns how many a second there were.
func (m *Measured) Rate() float64 { return float64(len(m.took)) / m.whole.Seconds() }

// Percentile returns how long those took that are at the percent, in milliseconds.
func (m *Measured) Percentile(percent int) float64 { return Percentile(m.took, percent) }

// Measure does something b.N times, so many at once, and reports how long each took and, as rate, how many a second there were.
func Measure(b *testing.B, atOnce int, rate string, do func(n int) error) {
	b.Helper()
	m := NewMeasured("measured")
	m.Round(b, b.N, atOnce, do)
	b.ReportMetric(m.Rate(), rate)
	b.ReportMetric(m.Percentile(50), "p50-ms")
	b.ReportMetric(m.Percentile(99), "p99-ms")
}

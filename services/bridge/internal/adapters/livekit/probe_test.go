package livekit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var (
	errAway    = fmt.Errorf("asking LiveKit: %w", ports.ErrUnavailable)
	errRefuses = fmt.Errorf("asking LiveKit: %w: %w", ports.ErrUnavailable, ports.ErrRefused)
)

// probing is a probe that runs in a bubble of synctest, and what it found.
type probing struct {
	*livekit.Probe
	mu        sync.Mutex
	pings     int
	err       error         // of each ping
	ahead     time.Duration // LiveKit's clock
	known     bool          // whether that can be found out
	log       bytes.Buffer
	reachable []bool
	offsets   []time.Duration
}

const probeInterval = 10 * time.Second

func probe(t *testing.T) *probing {
	t.Helper()
	p := &probing{known: true}
	p.Probe = livekit.NewProbe(livekit.ProbeConfig{
		Ping: func(context.Context) (err error) {
			p.change(func() { p.pings, err = p.pings+1, p.err })
			return err
		},
		ClockOffset: func(context.Context) (ahead time.Duration, known bool) {
			p.change(func() { ahead, known = p.ahead, p.known })
			return ahead, known
		},
		Reachable: func(reachable bool) { p.change(func() { p.reachable = append(p.reachable, reachable) }) },
		Offset:    func(ahead time.Duration) { p.change(func() { p.offsets = append(p.offsets, ahead) }) },
		Log:       slog.New(slog.NewTextHandler(p, nil)),
		Interval:  probeInterval,
	})
	return p
}

func (p *probing) change(how func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how()
}

// Write is the log's.
func (p *probing) Write(line []byte) (n int, err error) {
	p.change(func() { n, err = p.log.Write(line) })
	return n, err
}

// run has the probe work until the test ends.
func (p *probing) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
}

// pass lets time pass and returns what was logged meanwhile.
func (p *probing) pass(d time.Duration) []string {
	time.Sleep(d) // The bubble's time: it takes none.
	synctest.Wait()
	return p.logged()
}

func (p *probing) logged() (lines []string) {
	p.change(func() {
		lines = strings.FieldsFunc(p.log.String(), func(r rune) bool { return r == '\n' })
		p.log.Reset()
	})
	return lines
}

// asked returns how often LiveKit was asked.
func (p *probing) asked() (n int) {
	p.change(func() { n = p.pings })
	return n
}

func (p *probing) answers(err error) { p.change(func() { p.err = err }) }

func (p *probing) clock(ahead time.Duration, known bool) {
	p.change(func() { p.ahead, p.known = ahead, known })
}

func TestTheProbeTellsARefusalFromAnAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := probe(t)
		require.ErrorIs(t, p.Check(t.Context()), livekit.ErrNotReached, "nothing was asked yet")
		p.run(t)
		require.NoError(t, p.Check(t.Context()))
		require.Empty(t, p.logged(), "what is as it should be is no news")

		p.answers(errAway)
		logged := p.pass(probeInterval)
		require.Len(t, logged, 1)
		require.Contains(t, logged[0], "level=WARN")
		require.Contains(t, logged[0], "LiveKit can't be reached")
		require.ErrorIs(t, p.Check(t.Context()), livekit.ErrNotReached)
		require.NotErrorIs(t, p.Check(t.Context()), ports.ErrRefused)
		require.Empty(t, p.pass(time.Hour), "it is logged once")

		p.answers(errRefuses)
		p.clock(-20*time.Second, true)
		logged = p.pass(probeInterval * 2)
		require.Len(t, logged, 1)
		require.Contains(t, logged[0], "level=WARN")
		require.Contains(t, logged[0], "LiveKit refuses our API key or our clock")
		require.Contains(t, logged[0], "LIVEKIT_API_KEY")
		require.Contains(t, logged[0], "LIVEKIT_API_SECRET")
		require.Contains(t, logged[0], "livekit_ahead=-20s")
		require.ErrorIs(t, p.Check(t.Context()), livekit.ErrRefused)
		require.ErrorIs(t, p.Check(t.Context()), ports.ErrRefused)
		require.NotErrorIs(t, p.Check(t.Context()), livekit.ErrNotReached)
		require.EqualError(t, p.Check(t.Context()), "LiveKit refuses our API key or our clock")
		require.Empty(t, p.pass(time.Hour))

		p.answers(nil)
		logged = p.pass(probeInterval * 2)
		require.Len(t, logged, 1)
		require.Contains(t, logged[0], "level=INFO")
		require.Contains(t, logged[0], "accepts our API key and our clock again")
		require.NoError(t, p.Check(t.Context()))

		p.answers(errors.New("something else"))
		require.Len(t, p.pass(probeInterval), 1)
		p.answers(nil)
		logged = p.pass(probeInterval * 2)
		require.Len(t, logged, 1)
		require.Contains(t, logged[0], "LiveKit is reached again")
	})
}

func TestTheProbeAsksSoonerWhereLiveKitIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := probe(t)
		p.run(t)
		require.Equal(t, 1, p.asked())
		p.pass(probeInterval * 6)
		require.Equal(t, 7, p.asked())
		p.answers(errAway)
		p.pass(probeInterval)
		before := p.asked()
		p.pass(2 * time.Second)
		require.Greater(t, p.asked(), before+1)
		p.answers(nil)
		p.pass(probeInterval * 2)
		require.True(t, p.reachable[len(p.reachable)-1])
		require.Contains(t, p.reachable, false)
		before = p.asked()
		p.pass(probeInterval * 6)
		require.Equal(t, before+6, p.asked())
	})
}

func TestClocksThatAreApartAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := probe(t)
		p.clock(29*time.Second, true)
		p.run(t)
		require.Empty(t, p.logged())
		for _, ahead := range []time.Duration{31 * time.Second, -2 * time.Minute} {
			p.clock(ahead, true)
			logged := p.pass(probeInterval)
			require.Len(t, logged, 1)
			require.Contains(t, logged[0], "level=WARN")
			require.Contains(t, logged[0], "livekit_ahead="+ahead.String())
			require.Empty(t, p.pass(6*probeInterval), "it is logged once")

			p.clock(ahead, false)
			require.Empty(t, p.pass(6*probeInterval), "what isn't known is no news")
			p.clock(ahead, true)
			p.answers(errAway)
			p.pass(6 * probeInterval)
			p.answers(nil)
			p.pass(2 * probeInterval)

			p.clock(time.Second, true)
			logged = p.pass(probeInterval)
			require.Len(t, logged, 1)
			require.Contains(t, logged[0], "level=INFO")
			require.Contains(t, logged[0], "agree again")
		}
		require.NoError(t, p.Check(t.Context()), "LiveKit can be used as long as it accepts")
		require.Contains(t, p.offsets, 29*time.Second)
		require.Contains(t, p.offsets, -2*time.Minute)
		require.Equal(t, time.Second, p.offsets[len(p.offsets)-1])
	})
}

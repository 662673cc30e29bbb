package memory_test

import (
	"testing"

	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestTimers(t *testing.T) {
	portstest.Timers(t, func(*testing.T) portstest.TimersUnderTest {
		store, clock := memory.NewStore(), memory.NewClock(portstest.Start)
		timers := memory.NewTimers(store, clock)
		return portstest.TimersUnderTest{
			StoreUnderTest: portstest.StoreUnderTest{Store: store, Outbox: store.Outbox, Quarantine: store.Quarantine},
			Activations:    timers, Retention: timers, Pass: clock.Advance,
		}
	})
}

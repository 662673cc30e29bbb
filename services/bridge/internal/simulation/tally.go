package simulation

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/callplane/callplane/services/bridge/internal/adapters/metrics"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// tally takes note of events that the bridge could not make.
type tally struct {
	ports.Tally

	log *log
}

func newTally(l *log) tally { return tally{Tally: metrics.NewTally(prometheus.NewRegistry()), log: l} }

// EmissionRefused implements ports.Tally.
func (t tally) EmissionRefused(kind string) {
	t.log.problem("an event of type %s breaks its contract", kind)
}

package wiring

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callplane/callplane/libs/httpserver/httpserverfx"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/adapters/amqp"
	"github.com/callplane/callplane/services/sessions/internal/adapters/metrics"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// followed is a store that tells what its commits add to logs.
type followed interface {
	Follow(added func(ports.Appended))
}

func newHints(broker *amqp.Broker, log *slog.Logger) *amqp.Hints { return amqp.NewHints(broker, log) }

// startStreams leads what is logged here to this replica's streams at once, and to the other replicas' by hints.
func startStreams(k keeper, gate *libpostgres.Gate, store followed, hub *live.Hub, hints *amqp.Hints, broker *amqp.Broker) {
	store.Follow(func(added ports.Appended) {
		hub.Publish(added)
		hints.Send(ports.Hint{SessionID: added.SessionID, First: added.First(), Last: added.Last(), Users: added.Users})
	})
	hints.Listen(broker, hub)
	k.keep("streams", after(gate, forever(hub.Run)))
}

func measureStreams(registerer prometheus.Registerer, hub *live.Hub, hints *amqp.Hints) {
	metrics.Streams(registerer, hub.Open, hints.Dropped, hub.Dropped)
}

// endStreams ends the streams when the public server stops, which would wait for them.
func endStreams(servers httpserverfx.Servers, hub *live.Hub) {
	servers.Public.OnShutdown(hub.Drain)
}

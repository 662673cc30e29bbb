package rabbitmq

import "github.com/prometheus/client_golang/prometheus"

// Metrics are shared by all connectors of a program.
type Metrics struct {
	connected   *prometheus.GaugeVec     // by connection
	connections *prometheus.CounterVec   // by connection
	published   *prometheus.CounterVec   // by exchange, result
	consumed    *prometheus.CounterVec   // by exchange
	retried     *prometheus.CounterVec   // by exchange
	parked      *prometheus.CounterVec   // by exchange, reason
	active      *prometheus.GaugeVec     // by exchange
	lag         *prometheus.HistogramVec // by exchange
	waiting     *prometheus.GaugeVec     // by queue
	broken      *prometheus.GaugeVec     // by exchange
	calls       *prometheus.CounterVec   // by key, result
	requests    *prometheus.CounterVec   // by queue, result
}

// NewMetrics makes the metrics and registers them; with a nil Registerer they are kept but not shown.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "rabbitmq_client", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "rabbitmq_client", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		connected:   gauge("connected", "1 while the connection stands and is set up.", "connection"),
		connections: counter("connections_total", "Connections set up since the start; all but the first are reconnects.", "connection"),
		published:   counter("published_total", "Messages published, by what the broker said.", "exchange", "result"),
		consumed:    counter("consumed_total", "Messages handled and acknowledged, parked ones included.", "exchange"),
		retried:     counter("retries_total", "Times that handling a message failed and was tried again in place.", "exchange"),
		parked:      counter("parked_total", "Messages given to the dead exchange.", "exchange", "reason"),
		active:      gauge("held_messages", "Messages that are being handled now, one at most for each partition.", "exchange"),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "rabbitmq_client", Name: "consumer_lag_seconds",
			Help:    "Time from what a message tells of until it was handled or parked.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200},
		}, []string{"exchange"}),
		waiting:  gauge("waiting_messages", "Messages in a queue that nobody has in hand, those of a dead queue included.", "queue"),
		broken:   gauge("broken_partitions", "Partitions whose queue the broker can't serve: each is tried again on a connection of its own.", "exchange"),
		calls:    counter("calls_total", "Requests sent, by how they ended.", "key", "result"),
		requests: counter("requests_total", "Requests received, by how they ended.", "queue", "result"),
	}
	if r != nil {
		r.MustRegister(m.connected, m.connections, m.published, m.consumed, m.retried, m.parked, m.active, m.lag, m.waiting, m.broken,
			m.calls, m.requests)
	}
	return m
}

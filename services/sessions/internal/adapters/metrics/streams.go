package metrics

import "github.com/prometheus/client_golang/prometheus"

// Streams shows how many streams are open, and how many hints were dropped before they were sent and after they came.
func Streams(registerer prometheus.Registerer, open func() int, unsent, unread func() int64) {
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "sessions", Name: "streams_open", Help: "Streams of server-sent events that are open at this replica.",
	}, func() float64 { return float64(open()) }))
	for at, dropped := range map[string]func() int64{"sender": unsent, "receiver": unread} {
		registerer.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "sessions", Name: "hints_dropped_total", ConstLabels: prometheus.Labels{"at": at},
			Help: "Hints that were dropped since too many waited, by where (sender, receiver); the receiver's sweep finds what they told of.",
		}, func() float64 { return float64(dropped()) }))
	}
}

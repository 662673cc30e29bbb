package httpserver

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics measures requests by route, never by path, and by the methods that HTTP names, so that no client can make labels without end.
func metrics(registerer prometheus.Registerer) gin.HandlerFunc {
	if registerer == nil {
		return func(c *gin.Context) { c.Next() }
	}
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_server_request_duration_seconds",
		Help:    "How long requests took, by method, route and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "status"})
	active := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "http_server_active_requests",
		Help: "Requests that are being handled; a stream only until it has begun.",
	})
	registerer.MustRegister(duration, active)
	return func(c *gin.Context) {
		start := time.Now()
		active.Inc()
		defer func() {
			active.Dec()
			if begun(c) != nil {
				return // How long somebody listens says nothing of how fast answers are.
			}
			duration.WithLabelValues(knownMethod(c.Request.Method), knownRoute(c.FullPath()), strconv.Itoa(c.Writer.Status())).
				Observe(time.Since(start).Seconds())
		}()
		c.Next()
	}
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

func knownRoute(route string) string {
	if route == "" {
		return "none"
	}
	return route
}

package httpserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
)

// Paths of the health endpoints.
const (
	LivePath  = "/livez"
	ReadyPath = "/readyz"
)

// checkTimeout bounds one check, well under what probes wait for.
const checkTimeout = 2 * time.Second

// Check returns nil while the thing that it looks at works.
type Check func(ctx context.Context) error

// Health answers whether the process lives and whether it is ready for requests.
type Health struct {
	log      *slog.Logger
	draining atomic.Bool

	mu     sync.Mutex
	checks []*check
}

type check struct {
	name     string
	required bool
	run      Check
	failing  atomic.Bool
}

// NewHealth returns a Health without checks, which is ready. Each change of a check's result is logged once.
func NewHealth(log *slog.Logger) *Health {
	return &Health{log: log}
}

// Require adds a check without which the service is not ready (503).
func (h *Health) Require(name string, run Check) { h.add(&check{name: name, required: true, run: run}) }

// Degrade adds a check without which the service goes on with less: it stays ready (200), and the check is named as degraded.
func (h *Health) Degrade(name string, run Check) { h.add(&check{name: name, run: run}) }

func (h *Health) add(c *check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, c)
}

// Drain makes the service not ready from now on, so that no more requests are sent to it while it still serves them.
func (h *Health) Drain() { h.draining.Store(true) }

// Mount adds the endpoints to an engine.
func (h *Health) Mount(engine *gin.Engine) {
	for path, handler := range map[string]http.HandlerFunc{LivePath: h.live, ReadyPath: h.ready} {
		engine.GET(path, gin.WrapF(handler))
		engine.HEAD(path, gin.WrapF(handler))
	}
}

// Report is the body of the health endpoints.
type Report struct {
	Status      string   `json:"status"`                // ok, degraded, unavailable or draining
	Degraded    []string `json:"degraded,omitempty"`    // what is away without stopping the service
	Unavailable []string `json:"unavailable,omitempty"` // what is away and needed
}

func (h *Health) live(w http.ResponseWriter, _ *http.Request) {
	writeReport(w, http.StatusOK, Report{Status: "ok"})
}

func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	report := h.Report(r.Context())
	status := http.StatusOK
	if report.Status == "unavailable" || report.Status == "draining" {
		status = http.StatusServiceUnavailable
	}
	writeReport(w, status, report)
}

// Report runs every check at once and says how the service is.
func (h *Health) Report(ctx context.Context) Report {
	h.mu.Lock()
	checks := slices.Clone(h.checks)
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	results := make([]error, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() { results[i] = c.run(ctx) })
	}
	running.Wait()
	report := Report{Status: "ok"}
	for i, c := range checks {
		h.note(ctx, c, results[i])
		switch {
		case results[i] == nil:
		case c.required:
			report.Unavailable = append(report.Unavailable, c.name)
		default:
			report.Degraded = append(report.Degraded, c.name)
		}
	}
	switch {
	case h.draining.Load():
		report.Status = "draining"
	case len(report.Unavailable) > 0:
		report.Status = "unavailable"
	case len(report.Degraded) > 0:
		report.Status = "degraded"
	}
	return report
}

// note logs a result that differs from the one before.
func (h *Health) note(ctx context.Context, c *check, result error) {
	if c.failing.Swap(result != nil) == (result != nil) {
		return
	}
	if result != nil {
		h.log.WarnContext(ctx, "health check fails", slog.String("check", c.name), slog.Any("error", result))
		return
	}
	h.log.InfoContext(ctx, "health check passes again", slog.String("check", c.name))
}

func writeReport(w http.ResponseWriter, status int, report Report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(report) // The prober is gone; there is nobody to tell.
}

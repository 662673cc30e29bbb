package stack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Metrics reads what a service shows on ADMIN_ADDR: the value of each series, by its name with labels as Prometheus writes them.
func (p *Process) Metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.env["ADMIN_ADDR"]+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("making a request for metrics: %w", err)
	}
	req.Close = true // No connection is left over when the tests end.
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", p.name, err)
	}
	defer res.Body.Close() //nolint:errcheck // Only read from.
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", p.name, err)
	}
	series := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := cutLast(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if series[name], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("reading the metrics of %s: %w", p.name, err)
		}
	}
	return series, nil
}

// cutLast cuts a text at the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

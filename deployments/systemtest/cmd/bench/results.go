package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// results are the figures of each metric, one a repetition.
type results map[metric][]float64

// read reads results in Go's benchmark format.
func read(text []byte) (results, error) {
	all := results{}
	reader := benchfmt.NewReader(bytes.NewReader(text), "results")
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.Result:
			bench := nameOf(record.Name)
			for _, value := range record.Values {
				figure, unit := value.Value, value.Unit
				if value.OrigUnit != "" {
					figure, unit = value.OrigValue, value.OrigUnit
				}
				all[metric{bench, unit}] = append(all[metric{bench, unit}], figure)
			}
		case *benchfmt.SyntaxError:
			return nil, fmt.Errorf("reading results: %w", record)
		}
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("there are no results")
	}
	return all, nil
}

// nameOf is a benchmark's name as Go's code has it, without the number of processors.
func nameOf(name benchfmt.Name) string {
	base, parts := name.Parts()
	var whole strings.Builder
	whole.WriteString("Benchmark")
	whole.Write(base)
	for _, part := range parts {
		if part[0] != '-' {
			whole.Write(part)
		}
	}
	return whole.String()
}

// spread is a figure over all repetitions: its median, and the interval in which the median lies with that confidence, which is
// from the lowest to the highest of five repetitions.
type spread struct {
	Median      float64 `json:"median"`
	Low         float64 `json:"low"`
	High        float64 `json:"high"`
	Confidence  float64 `json:"confidence"`
	Repetitions int     `json:"repetitions"`
}

// wanted is the confidence that five repetitions can give; fewer give less.
const wanted = 0.9

func spreadOf(figures []float64) *spread {
	if len(figures) == 0 {
		return nil
	}
	if len(figures) == 1 {
		return &spread{Median: figures[0], Low: figures[0], High: figures[0], Repetitions: 1}
	}
	confidence := wanted
	if possible := 1 - 2/float64(int(1)<<len(figures)); possible < confidence {
		confidence = possible
	}
	// A sample sorts its figures; ratios need them in their order.
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(figures), &benchmath.DefaultThresholds), confidence)
	return &spread{Median: s.Center, Low: s.Lo, High: s.Hi, Confidence: s.Confidence, Repetitions: len(figures)}
}

// figure is a row of the table with what was measured.
type figure struct {
	Part    string  `json:"part"`
	What    string  `json:"what"`
	Unit    string  `json:"unit"`
	Product *spread `json:"product"`
	FloorIs string  `json:"floorIs,omitempty"`
	Floor   *spread `json:"floor,omitempty"`
	Ratio   *spread `json:"ratio,omitempty"`
	Promise string  `json:"promise,omitempty"`
	Verdict string  `json:"verdict,omitempty"`
}

// figures are the rows of which there are results.
func (r results) figures() []figure {
	var all []figure
	for _, row := range rows() {
		if len(r[row.product]) == 0 {
			continue
		}
		f := figure{
			Part: row.part, What: row.what, Unit: unit(row.product.unit), Product: spreadOf(r[row.product]), FloorIs: row.floorIs,
			Floor: spreadOf(r[row.floor]), Ratio: spreadOf(r.ratios(row)),
		}
		if row.promise != nil {
			judged := f.Ratio
			if row.floor.bench == "" {
				judged = f.Product
			}
			if judged != nil {
				f.Promise, f.Verdict = row.promise.String(), verdict(*row.promise, *judged)
			}
		}
		all = append(all, f)
	}
	return all
}

// ratios are a row's, one a repetition; none where it has no floor, or the floor was not measured as often.
func (r results) ratios(row row) []float64 {
	if row.ratio.bench != "" {
		return r[row.ratio]
	}
	product, floor := r[row.product], r[row.floor]
	if len(product) != len(floor) {
		return nil
	}
	list := make([]float64, len(product))
	for i := range product {
		list[i] = product[i] / floor[i]
	}
	return list
}

// verdict says whether the promise is kept by the median, and by all of the interval around it.
func verdict(p promise, s spread) string {
	within := p.kept(s.Low) && p.kept(s.High)
	without := !p.kept(s.Low) && !p.kept(s.High)
	switch {
	case within:
		return "yes"
	case without:
		return "no"
	case p.kept(s.Median):
		return "yes by the median, not all through the spread"
	default:
		return "no by the median, within the spread"
	}
}

// unit is what stands behind a figure of a benchmark's metric.
func unit(metric string) string {
	if strings.HasSuffix(metric, "/s") {
		return "/s"
	}
	if metric == "KiB/stream" {
		return "KiB"
	}
	short := metric[strings.LastIndex(metric, "-")+1:]
	if short == "us" {
		return "µs"
	}
	return short
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// report is a run's results.
type report struct {
	Machine     machine  `json:"machine"`
	Repetitions int      `json:"repetitions"`
	Seconds     int      `json:"seconds"` // that the run took
	Figures     []figure `json:"figures"`
}

// markdown is the report to read.
func (r report) markdown() string {
	var text strings.Builder
	m := r.Machine
	fmt.Fprintf(&text, "# What a run of the benchmarks measured\n\n")
	fmt.Fprintf(&text, "%s, %d cores, %s GiB of memory, Linux %s; Go %s, PostgreSQL %s, RabbitMQ %s, LiveKit %s.\n", m.CPU, m.Cores, number(m.Memory),
		m.Kernel, m.Go, m.Postgres, m.RabbitMQ, m.LiveKit)
	fmt.Fprintf(&text, "%s of the code, %d repetitions, %d minutes. Everything runs on this one machine, what asks and what answers.\n\n",
		commit(m.Commit), r.Repetitions, (r.Seconds+59)/60)
	text.WriteString("| part | what | product | its floor | ratio | promised | kept |\n|---|---|---|---|---|---|---|\n")
	for _, f := range r.Figures {
		floor := f.FloorIs
		if f.Floor != nil {
			floor += ": " + f.Floor.in(f.Unit)
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s | %s |\n", f.Part, f.What, f.Product.in(f.Unit), floor, f.Ratio.in(""), f.Promise, f.Verdict)
	}
	return text.String()
}

func commit(name string) string {
	if name == "" {
		return "An unknown state"
	}
	return "Commit " + name
}

// in writes a spread: its median, and from where to where it goes.
func (s *spread) in(unit string) string {
	switch {
	case s == nil:
		return ""
	case s.Repetitions == 1:
		return strings.TrimSpace(number(s.Median) + space(unit))
	default:
		return fmt.Sprintf("%s%s (%s–%s)", number(s.Median), space(unit), number(s.Low), number(s.High))
	}
}

// space puts a space before a unit that is a word.
func space(unit string) string {
	if unit == "" || unit == "/s" {
		return unit
	}
	return " " + unit
}

// number writes three digits that count, and all those before the point.
func number(n float64) string {
	if n >= 100 || n <= -100 {
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strconv.FormatFloat(n, 'g', 3, 64)
}

// The files of a run.
const (
	markdownFile = "results.md"
	jsonFile     = "results.json"
	textFile     = "results.txt" // for benchstat
)

// write writes the results into a folder.
func write(folder string, r report, raw []byte) error {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	if err := os.MkdirAll(folder, 0o750); err != nil { //nolint:gosec // The repository that the user names.
		return fmt.Errorf("writing the results: %w", err)
	}
	for name, text := range map[string][]byte{markdownFile: []byte(r.markdown()), jsonFile: encoded.Bytes(), textFile: raw} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil { //nolint:gosec // As above.
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	return nil
}

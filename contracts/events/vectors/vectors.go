// Package vectors has generated logs of sessions, and the state that each of them makes: what any fold of the events, in whatever language, is
// held against. The sessions service writes them with its own (TestTheSharedLogsAreFolded with -write-vectors).
package vectors

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the vectors
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

//go:embed folds.jsonl.gz
var folds []byte

// Fold is a log, from the session's first event on, and the session as the API shows it behind the last: without updatedAt, which counts the
// moments of appending, and those no event has.
type Fold struct {
	Log   []json.RawMessage `json:"log"`
	State json.RawMessage   `json:"state"`
}

// Folds returns all of them.
func Folds() ([]Fold, error) {
	text, err := gzip.NewReader(bytes.NewReader(folds))
	if err != nil {
		return nil, fmt.Errorf("reading the vectors: %w", err)
	}
	var all []Fold
	for lines := json.NewDecoder(text); ; {
		var one Fold
		switch err := lines.Decode(&one); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("reading vector %d: %w", len(all)+1, err)
		}
		all = append(all, one)
	}
}

// Write returns them as they are committed, one a line.
func Write(all []Fold) ([]byte, error) {
	var text bytes.Buffer
	packed, err := gzip.NewWriterLevel(&text, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("writing the vectors: %w", err)
	}
	lines := json.NewEncoder(packed)
	lines.SetEscapeHTML(false)
	for n, one := range all {
		if err := lines.Encode(one); err != nil {
			return nil, fmt.Errorf("writing vector %d: %w", n+1, err)
		}
	}
	if err := packed.Close(); err != nil {
		return nil, fmt.Errorf("writing the vectors: %w", err)
	}
	return text.Bytes(), nil
}

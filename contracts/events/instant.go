package events

import (
	"fmt"
	"time"
)

// timestampLayout is RFC 3339 with up to nanoseconds; used on UTC times only, so it ends in Z.
const timestampLayout = time.RFC3339Nano

// Instant is a time in a payload. It is always written in UTC, wherever the time.Time came from.
type Instant struct{ time.Time }

// At returns t as an Instant.
func At(t time.Time) Instant { return Instant{Time: t.UTC().Round(0)} }

// AtPtr returns t as an Instant, nil where t is nil.
func AtPtr(t *time.Time) *Instant {
	if t == nil {
		return nil
	}
	i := At(*t)
	return &i
}

// MarshalJSON writes RFC 3339 in UTC.
func (i Instant) MarshalJSON() ([]byte, error) {
	text, err := i.UTC().MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding an instant: %w", err)
	}
	return text, nil
}

// UnmarshalJSON reads RFC 3339 and keeps it in UTC.
func (i *Instant) UnmarshalJSON(text []byte) error {
	var t time.Time
	if err := t.UnmarshalJSON(text); err != nil {
		return fmt.Errorf("decoding an instant: %w", err)
	}
	*i = At(t)
	return nil
}

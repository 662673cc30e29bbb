package events

import (
	"encoding/json"
	"time"
)

// Happened returns the timestamp of an event's body, and whether it has one. It looks at nothing else and is for
// figures, such as how late an event is; what is taken in goes through Accept.
func Happened(body []byte) (time.Time, bool) {
	var event struct {
		Timestamp time.Time `json:"timestamp"`
	}
	if err := json.Unmarshal(body, &event); err != nil || event.Timestamp.IsZero() {
		return time.Time{}, false
	}
	return event.Timestamp, true
}

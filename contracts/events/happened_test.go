package events_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/callplane/callplane/contracts/events"
)

func TestHappened(t *testing.T) {
	at, known := events.Happened([]byte(`{"type":"call.created","timestamp":"2026-01-02T03:04:05.006Z","payload":{}}`))
	assert.True(t, known)
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), at)
	for _, body := range []string{"", "{", "[]", "{}", `{"timestamp":null}`, `{"timestamp":"soon"}`, `{"timestamp":5}`} {
		_, known = events.Happened([]byte(body))
		assert.False(t, known, body)
	}
}

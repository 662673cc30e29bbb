package stack

import (
	"encoding/json"
	"strings"
	"testing"
)

// SessionOf gives the session whose room a webhook speaks of.
func (s *Stack) SessionOf(t testing.TB, webhook []byte) string {
	t.Helper()
	var body struct {
		Room struct {
			Name string `json:"name"`
		} `json:"room"`
	}
	if err := json.Unmarshal(webhook, &body); err != nil {
		t.Fatalf("reading a webhook: %v", err)
	}
	return strings.TrimPrefix(body.Room.Name, "call-")
}

package stack

import (
	"encoding/json"
	"fmt"

	"github.com/callplane/callplane/contracts/events"
)

// Payload is what the tests read of any payload.
type Payload struct {
	UserID         string `json:"userId"`
	Reason         string `json:"reason"`
	RoomName       string `json:"roomName"`
	RoomSID        string `json:"roomSid"`
	Identity       string `json:"identity"`
	ParticipantSID string `json:"participantSid"`
	TrackSID       string `json:"trackSid"`
	SessionVersion int64  `json:"sessionVersion"`
	Error          struct {
		Code string `json:"code"`
	} `json:"error"`
}

// Details reads the payload of an event.
func Details(e events.Envelope) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		return Payload{}, fmt.Errorf("reading the payload of %s: %w", e.Type, err)
	}
	return p, nil
}

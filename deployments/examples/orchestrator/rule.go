package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

const (
	trigger    = "remind me"
	actionKind = "reminder.create"
)

// answer returns the events that answer one: none where there is nothing to do. The same event has the same answers, byte by byte, however
// often and by whichever process they are made: their ids are derived from it, and their time is its own. A log takes each once.
func answer(cause events.Accepted, self string) ([]events.Sealed, error) {
	if cause.Type != events.TranscriptFinal {
		return nil, nil
	}
	var said events.TranscriptFinalPayload
	if err := json.Unmarshal(cause.Payload, &said); err != nil {
		return nil, fmt.Errorf("read the transcript: %w", err)
	}
	if !strings.Contains(strings.ToLower(said.Text), trigger) {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, cause.Timestamp)
	if err != nil {
		return nil, fmt.Errorf("read the timestamp: %w", err)
	}
	arguments, err := json.Marshal(map[string]string{"text": said.Text})
	if err != nil {
		return nil, fmt.Errorf("write the arguments: %w", err)
	}
	action := events.Action{ActionID: derived("action", cause.EventID), Kind: actionKind}
	result, err := json.Marshal(map[string]string{"reminderId": derived("reminder", cause.EventID)})
	if err != nil {
		return nil, fmt.Errorf("write the result: %w", err)
	}
	var all []events.Sealed
	for _, payload := range []events.Payload{
		events.ActionProposedPayload{
			Action: action, Summary: events.Bounded("A reminder: "+said.Text, events.MaxSummary), Arguments: arguments,
			Risk: events.RiskLow, RequestedBy: speaker(said), CausedBy: &cause.EventID,
		},
		// A real one would make the reminder here, under the action's id, so that making it again finds it made.
		events.ActionExecutedPayload{Action: action, Summary: "The reminder is set.", Result: result, CausedBy: &cause.EventID},
	} {
		sealed, err := events.Seal(derived(string(payload.EventType()), cause.EventID), cause.SessionID, events.Draft{
			Timestamp: at, Actor: events.Actor{Type: events.ActorService, ID: self}, Payload: payload,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, sealed)
	}
	return all, nil
}

func derived(what, causeID string) string { return events.DerivedID(appID, what, causeID) }

// speaker is who asked, nil where the transcriber doesn't know.
func speaker(said events.TranscriptFinalPayload) *events.Actor {
	if said.Speaker == nil || said.Speaker.UserID == nil {
		return nil
	}
	return &events.Actor{Type: events.ActorUser, ID: *said.Speaker.UserID}
}

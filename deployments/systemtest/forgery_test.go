//go:build integration

package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// edited changes fields of a message's body; nil takes one away.
func edited(t *testing.T, m *amqp.Publishing, fields map[string]any) {
	t.Helper()
	var event map[string]any
	require.NoError(t, json.Unmarshal(m.Body, &event))
	for name, value := range fields {
		if event[name] = value; value == nil {
			delete(event, name)
		}
	}
	body, err := json.Marshal(event)
	require.NoError(t, err)
	m.Body = body
}

// unacceptable is what a producer can get past the broker under the key transcript.final and in its own name, each with the reason for which it
// is parked.
func unacceptable(t *testing.T) map[string]struct {
	reason events.Reason
	spoil  func(m *amqp.Publishing)
} {
	other := uuid.Must(uuid.NewV7()).String()
	edit := func(fields map[string]any) func(m *amqp.Publishing) {
		return func(m *amqp.Publishing) { edited(t, m, fields) }
	}
	disconnected := edit(map[string]any{
		"type": "call.disconnected", "actor": map[string]any{"type": "provider", "id": "livekit"},
		"payload": map[string]any{"provider": "livekit", "roomName": "call-x", "roomSid": "RM_x", "reason": "completed"},
	})
	return map[string]struct {
		reason events.Reason
		spoil  func(m *amqp.Publishing)
	}{
		"call.disconnected under the key of a transcript": {events.ForbiddenProducer, disconnected},
		"another type that it may send":                   {events.PropertyMismatch, edit(map[string]any{"type": "transcript.partial"})},
		"another session in the body":                     {events.PropertyMismatch, edit(map[string]any{"sessionId": other})},
		"another session in the header": {events.PropertyMismatch, func(m *amqp.Publishing) {
			m.Headers[topology.HeaderSessionID] = other
		}},
		"no session in the header":   {events.PropertyMismatch, func(m *amqp.Publishing) { delete(m.Headers, topology.HeaderSessionID) }},
		"another id in the body":     {events.PropertyMismatch, edit(map[string]any{"eventId": other})},
		"in another service's name":  {events.ForbiddenActor, edit(map[string]any{"actor": map[string]any{"type": "service", "id": "billing"}})},
		"in a user's name":           {events.SchemaViolation, edit(map[string]any{"actor": map[string]any{"type": "user", "id": alice}})},
		"a newer major version":      {events.UnsupportedVersion, edit(map[string]any{"version": "2.0"})},
		"a type that nobody knows":   {events.UnknownType, edit(map[string]any{"type": "transcript.sung"})},
		"no payload":                 {events.Malformed, edit(map[string]any{"payload": nil})},
		"a field too many":           {events.Malformed, edit(map[string]any{"more": true})},
		"no JSON":                    {events.Malformed, func(m *amqp.Publishing) { m.Body = []byte("{") }},
		"a payload of another shape": {events.SchemaViolation, edit(map[string]any{"payload": map[string]any{"text": "hello"}})},
		"more than 256 KiB": {events.Oversize, func(m *amqp.Publishing) {
			edited(t, m, map[string]any{"payload": map[string]any{"text": strings.Repeat("x", events.MaxSize)}})
		}},
	}
}

// TestWhatCannotBeAcceptedIsParked sends whatever a producer can get past the broker, with good messages of the same session in between: each
// bad one is parked at both services with its reason, and the good ones are logged in their order, since no partition is held up.
// What is of a newer minor version is logged and replayed with the fields that nobody here knows.
func TestWhatCannotBeAcceptedIsParked(t *testing.T) {
	t.Parallel()
	s := stack.New(t)
	session := newSession(t, s).SessionID
	newer := transcriptOf(t, session, "newer")
	var event struct{ Payload map[string]any }
	require.NoError(t, json.Unmarshal(newer.Body, &event))
	event.Payload["mood"] = map[string]any{"name": "calm", "scores": []any{0.25, nil}}
	edited(t, &newer, map[string]any{"version": "1.7", "payload": event.Payload})
	s.Observed.ExpectInvalid(newer.MessageId) // The published schema is that of 1.0.

	messages, reasons, good := []amqp.Publishing{newer}, map[string]string{}, []string{newer.MessageId}
	for what, bad := range unacceptable(t) {
		message := transcriptOf(t, session, what)
		bad.spoil(&message)
		s.Observed.ExpectInvalid(message.MessageId)
		reasons[message.MessageId] = string(bad.reason) + ": " + what
		after := transcriptOf(t, session, "after "+what)
		messages, good = append(messages, message, after), append(good, after.MessageId)
	}
	publishTranscripts(t, s.Vhost, messages...)

	var log []events.Envelope
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) error {
		all, err := s.API.As(alice).Log(ctx, session)
		if err != nil || len(all) < 1+len(good) {
			return fmt.Errorf("the log has %d events: %w", len(all), err)
		}
		log = nil
		for _, e := range all {
			log = append(log, e.Envelope)
		}
		return nil
	})
	logged := make([]string, 0, len(log))
	for _, e := range log[1:] {
		logged = append(logged, e.EventID)
	}
	require.Equal(t, good, logged)
	require.Equal(t, "1.7", log[1].Version)
	require.JSONEq(t, jsonOf(t, event.Payload), string(log[1].Payload))
	for _, service := range stack.Services {
		requireParked(t, s, service, reasons)
	}
	requireCounted(t, s.Sessions, topology.SessionsEvents, reasons)
	requireCounted(t, s.Bridge, topology.BridgeEvents, reasons)
	verified(t, s)
}

// requireCounted holds what a service shows of itself to what it has parked; one message it has parked twice.
func requireCounted(t *testing.T, p *stack.Process, exchange string, reasons map[string]string) {
	t.Helper()
	byReason := map[string]float64{}
	for _, text := range reasons {
		reason, _, _ := strings.Cut(text, ": ")
		byReason[reason]++
	}
	queue := topology.DeadQueue(exchange)
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) error {
		series, err := p.Metrics(ctx)
		if err != nil {
			return err
		}
		counted := 0.0
		for reason, least := range byReason {
			n := series[fmt.Sprintf(`rabbitmq_client_parked_total{exchange=%q,reason=%q}`, exchange, reason)]
			if counted += n; n < least {
				return fmt.Errorf("%v messages were parked as %s", n, reason)
			}
		}
		if counted != float64(len(reasons)+1) {
			return fmt.Errorf("%v messages were parked", counted)
		}
		if n := series[fmt.Sprintf(`rabbitmq_client_waiting_messages{queue=%q}`, queue)]; n != float64(len(reasons)) {
			return fmt.Errorf("%v messages wait in %s", n, queue)
		}
		if n := series[fmt.Sprintf(`rabbitmq_client_consumer_lag_seconds_count{exchange=%q}`, exchange)]; n == 0 {
			return errors.New("no lag was measured")
		}
		for _, name := range []string{"outbox_unpublished_rows", "outbox_oldest_unpublished_seconds"} {
			if n, shown := series[name]; !shown || n != 0 {
				return fmt.Errorf("%s is %v", name, n)
			}
		}
		return nil
	})
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

// requireParked waits until a service has parked as many messages as there are reasons, and holds each to its own: "reason: what it is", by id.
// One that an operator puts back is parked again.
func requireParked(t *testing.T, s *stack.Stack, service string, reasons map[string]string) {
	t.Helper()
	got := map[string]string{}
	again := ""
	await := func(requeues int) {
		testkit.Eventually(t, 2*stack.Patience, func(context.Context) error {
			list, err := parked(t, s, service)
			if err != nil {
				return err
			}
			putBack := 0
			for _, message := range list {
				_, what, _ := strings.Cut(reasons[message.ID], ": ")
				got[message.ID], again = message.Reason+": "+what, message.ID
				putBack += message.Requeues
			}
			if len(list) < len(reasons) || putBack < requeues {
				return fmt.Errorf("%s has parked %d of %d messages, %d of them again", service, len(list), len(reasons), putBack)
			}
			return nil
		})
		require.Equal(t, reasons, got, "parked by %s", service)
	}
	await(0)
	code, said := dead(t, s, service, "requeue", again)
	require.Zero(t, code, said)
	await(1)
}

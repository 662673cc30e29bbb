package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/testkit"
)

// envelope is every field of an event.
var envelope = []string{"actor", "eventId", "payload", "sessionId", "timestamp", "type", "version"}

// traceparent is what the W3C says of the header, version 00.
var traceparent = regexp.MustCompile("^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")

// CheckPublished holds a message of the events exchange to what is published of it: the schema of its type, an envelope of exactly seven
// fields, properties that say the same as the body, a sender who may send the type by the broker's definitions, persistence, a trace.
// It uses nothing that the services check events with.
func CheckPublished(d amqp.Delivery) error {
	if err := ValidatePublished(d.RoutingKey, d.Body); err != nil {
		return err
	}
	var event map[string]any
	if err := json.Unmarshal(d.Body, &event); err != nil {
		return fmt.Errorf("it is no JSON object: %w", err)
	}
	if fields := slices.Sorted(maps.Keys(event)); !slices.Equal(fields, envelope) {
		return fmt.Errorf("its fields are %v", fields)
	}
	for property, pair := range map[string][2]any{
		"routing key":       {d.RoutingKey, event["type"]},
		"message id":        {d.MessageId, event["eventId"]},
		"header session-id": {d.Headers[topology.HeaderSessionID], event["sessionId"]},
		"content type":      {d.ContentType, "application/json"},
		"delivery mode":     {d.DeliveryMode, amqp.Persistent},
	} {
		if pair[0] != pair[1] {
			return fmt.Errorf("its %s is %v, not %v", property, pair[0], pair[1])
		}
	}
	if parent, _ := d.Headers["traceparent"].(string); !traceparent.MatchString(parent) {
		return fmt.Errorf("its traceparent is %q", parent)
	}
	return errors.Join(checkSender(d.UserId, d.RoutingKey), checkActor(d.UserId, event["actor"]), checkVersion(d))
}

// checkActor: who is no service of Callplane speaks in their own name.
func checkActor(user string, actor any) error {
	if user == topology.UserSessions || user == topology.UserBridge {
		return nil
	}
	if said, _ := actor.(map[string]any); said["type"] != "service" || said["id"] != user {
		return fmt.Errorf("%q speaks as %v", user, actor)
	}
	return nil
}

// checkSender holds the sender to the broker's definitions, by the user's own entry or its family's (see deployments/rabbitmq/README.md).
func checkSender(user, kind string) error {
	senders, err := senders()
	if err != nil {
		return err
	}
	if may := senders[user]; may == nil || !may.MatchString(kind) {
		return fmt.Errorf("it was sent by %q, who may not", user)
	}
	return nil
}

// checkVersion: what comes from the provider has an id that is derived from the provider's fact, what starts in sessions one that grows.
func checkVersion(d amqp.Delivery) error {
	id, err := uuid.Parse(d.MessageId)
	if err != nil {
		return fmt.Errorf("its id: %w", err)
	}
	want := id.Version()
	switch {
	case d.UserId == topology.UserBridge:
		want = 5
	case strings.HasPrefix(d.RoutingKey, "call."):
		want = 7
	}
	if id.Version() != want {
		return fmt.Errorf("its id is a UUID of version %d, not %d", id.Version(), want)
	}
	return nil
}

// senders holds what each user may publish on the events exchange, as the broker itself is told.
var senders = sync.OnceValues(func() (map[string]*regexp.Regexp, error) {
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "deployments", "rabbitmq", "definitions.json"))
	if err != nil {
		return nil, fmt.Errorf("reading who may send what: %w", err)
	}
	var definitions struct {
		TopicPermissions []struct{ User, Exchange, Write string } `json:"topic_permissions"`
	}
	if err := json.Unmarshal(text, &definitions); err != nil {
		return nil, fmt.Errorf("reading who may send what: %w", err)
	}
	all := map[string]*regexp.Regexp{}
	for _, p := range definitions.TopicPermissions {
		if p.Exchange != topology.EventsExchange {
			continue
		}
		if all[p.User], err = regexp.Compile(p.Write); err != nil {
			return nil, fmt.Errorf("reading what %s may send: %w", p.User, err)
		}
	}
	return all, nil
})

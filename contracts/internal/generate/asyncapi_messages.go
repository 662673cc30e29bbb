package generate

import (
	"bytes"
	"fmt"

	"github.com/callplane/callplane/contracts/topology"
)

// asyncMessages writes a message for each event and command, and one for whatever is parked.
func (c *catalogue) asyncMessages() *object {
	trace := func(more ...any) *object {
		properties := fields(more...)
		for _, name := range []string{"traceparent", "tracestate"} {
			properties.set(name, fields("type", "string", "description", "W3C Trace Context."))
		}
		return properties
	}
	messages := fields()
	for _, t := range c.types {
		messages.set(t.name, fields(
			"name", t.name,
			"title", t.name,
			"summary", t.schema.text("description"),
			"contentType", "application/json",
			"headers", fields(
				"type", "object",
				"required", []any{topology.HeaderSessionID},
				"properties", trace(topology.HeaderSessionID, ref("components/schemas/uuid")),
			),
			"payload", ref("components/schemas/"+t.name),
			"bindings", fields("amqp", fields("messageType", t.name, "bindingVersion", amqpBinding)),
			"examples", []any{fields(
				"headers", fields(topology.HeaderSessionID, t.example.text("sessionId")),
				"payload", t.example,
			)},
		))
	}
	messages.set("deadLetter", fields(
		"name", "deadLetter",
		"title", "A message that was not accepted",
		"summary", "The body as it came. The message's own headers are kept beside these.",
		"headers", fields(
			"type", "object",
			"required", []any{"x-reason"},
			"properties", fields(
				"x-reason", fields("type", "string", "description", "Why, in a short stable word."),
				"x-detail", fields("type", "string", "description", "What exactly, for people to read."),
				"x-original-exchange", fields("type", "string"),
				"x-original-routing-key", fields("type", "string"),
				"x-original-user-id", fields("type", "string", "description", "Who sent it; user-id is that of who parked it."),
			),
		),
		"payload", fields("description", "Whatever was sent."),
	))
	for _, one := range c.commands {
		for _, part := range one.parts() {
			messages.set(part.name, fields(
				"name", part.name,
				"title", part.schema.text("title"),
				"summary", part.schema.text("description"),
				"contentType", "application/json",
				"headers", fields("type", "object", "properties", trace()),
				"correlationId", fields("location", "$message.header#/correlation-id", "description", "The property correlation-id."),
				"payload", ref("components/schemas/"+part.name),
			))
		}
	}
	return messages
}

// asyncSchemas bundles the schemas into one document: shared definitions by their names, a whole envelope for each type, and the commands.
func (c *catalogue) asyncSchemas() (*object, error) {
	schemas := fields()
	for _, name := range c.envelope.child("$defs").names {
		bundled, err := bundle(c.envelope.child("$defs").child(name))
		if err != nil {
			return nil, fmt.Errorf("definition %s: %w", name, err)
		}
		schemas.set(name, bundled)
	}
	for _, t := range c.types {
		whole, err := c.wholeSchema(t)
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", t.name, err)
		}
		schemas.set(t.name, whole)
	}
	for _, one := range c.commands {
		for _, part := range one.parts() {
			bundled, err := bundle(part.schema)
			if err != nil {
				return nil, fmt.Errorf("schema of %s: %w", part.name, err)
			}
			schemas.set(part.name, bundled)
		}
	}
	return schemas, nil
}

// wholeSchema joins the envelope's fields with what the type makes of them.
func (c *catalogue) wholeSchema(t eventType) (*object, error) {
	whole := c.envelope.without("$schema", "$id", "$defs")
	whole.set("title", t.name)
	whole.set("description", t.schema.text("description"))
	properties := fields()
	for _, name := range c.envelope.child("properties").names {
		node := c.envelope.child("properties").child(name)
		if refined := t.refined(name); len(refined.names) > 0 {
			var err error
			if node, err = both(node, refined); err != nil {
				return nil, err
			}
		}
		properties.set(name, node)
	}
	whole.set("properties", properties)
	return bundle(whole)
}

// both returns a schema that holds to two: one object where no keyword says two things.
func both(base, refined *object) (*object, error) {
	joined := base.without("description")
	for _, keyword := range refined.names {
		before, err := encode(base.values[keyword])
		if err != nil {
			return nil, err
		}
		after, err := encode(refined.values[keyword])
		if err != nil {
			return nil, err
		}
		if base.has(keyword) && keyword != "description" && !bytes.Equal(before, after) {
			return fields("allOf", []any{base, refined}), nil
		}
		joined.set(keyword, refined.values[keyword])
	}
	return joined, nil
}

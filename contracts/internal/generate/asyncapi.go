package generate

import (
	"fmt"
	"strings"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
)

const amqpBinding = "0.3.0"

// The channels of the document, by their ids.
const (
	eventsChannel   = "events"
	commandsChannel = "commands"
	repliesChannel  = "commandReplies"
)

// asyncapi writes the AsyncAPI 3 document of everything that goes over the broker.
func (c *catalogue) asyncapi() ([]byte, error) {
	schemas, err := c.asyncSchemas()
	if err != nil {
		return nil, err
	}
	return indented(fields(
		"asyncapi", "3.0.0",
		"id", "https://callplane.dev/asyncapi",
		"info", fields(
			"title", "Callplane: events and commands",
			"version", "1.0",
			"description", "What Callplane's services tell each other and the world over RabbitMQ. Generated from the JSON Schemas in contracts; "+
				"the rules that no schema can hold are in contracts/README.md.",
			"license", fields("name", "Apache-2.0", "url", "https://www.apache.org/licenses/LICENSE-2.0"),
		),
		"defaultContentType", "application/json",
		"servers", fields("broker", fields(
			"host", "{host}",
			"protocol", "amqp",
			"protocolVersion", "0.9.1",
			"description", "RabbitMQ 4. Each service and producer has a user of its own, which the broker holds to what it may send.",
			"variables", fields("host", fields("default", "localhost:5672", "description", "Where the broker is.")),
			"security", []any{ref("components/securitySchemes/user")},
		)),
		"channels", c.asyncChannels(),
		"operations", c.asyncOperations(),
		"components", fields(
			"securitySchemes", fields("user", fields("type", "userPassword", "description", "A user of the broker.")),
			"messages", c.asyncMessages(),
			"schemas", schemas,
		),
	))
}

func ref(path string) *object { return fields("$ref", "#/"+path) }

// messageRefs lists the types that wanted takes, as the messages of a channel.
func (c *catalogue) messageRefs(channel string, wanted func(eventType) bool) []any {
	refs := []any{}
	for _, t := range c.types {
		if wanted(t) {
			refs = append(refs, ref("channels/"+channel+"/messages/"+t.name))
		}
	}
	return refs
}

func every(eventType) bool { return true }

func (c *catalogue) asyncChannels() *object {
	names, eventMessages := []any{}, fields()
	for _, t := range c.types {
		names = append(names, t.name)
		eventMessages.set(t.name, ref("components/messages/"+t.name))
	}
	channels := fields(eventsChannel, fields(
		"address", "{type}",
		"title", topology.EventsExchange,
		"description", "Every event; the routing key is its type. To consume events, bind a queue of your own to this exchange.",
		"messages", eventMessages,
		"parameters", fields("type", fields(
			"description", "The event's type, which is the routing key.", "enum", names, "location", "$message.payload#/type",
		)),
		"bindings", exchangeBinding(topology.EventsExchange, topology.KindTopic),
	))
	for _, exchange := range []string{topology.SessionsEvents, topology.BridgeEvents} {
		channels.set(channelID(exchange), fields(
			"address", exchange+".{partition}",
			"title", exchange,
			"description", "The partitions of a service: a consistent-hash exchange on the header "+topology.HeaderSessionID+
				" leads the events of a session to one queue, in order.",
			"messages", eventMessages,
			"parameters", fields("partition", fields("description", "Counted from 0.", "default", "0")),
			"bindings", queueBinding(exchange+".{partition}", false),
		))
		dead := topology.DeadQueue(exchange)
		channels.set(channelID(dead), fields(
			"address", dead,
			"title", dead,
			"description", "What the service could not accept, as it came, with the reason; sent to the exchange "+topology.DeadExchange+".",
			"messages", fields("deadLetter", ref("components/messages/deadLetter")),
			"bindings", exchangeBinding(topology.DeadExchange, topology.KindDirect),
		))
	}
	channels.set(channelID(topology.RequeueExchange), requeueChannel())
	requests, replies, commandNames := fields(), fields(), []any{}
	for _, one := range c.commands {
		commandNames = append(commandNames, one.name)
		requests.set(one.name+".request", ref("components/messages/"+one.name+".request"))
		replies.set(one.name+".reply", ref("components/messages/"+one.name+".reply"))
	}
	channels.set(commandsChannel, fields(
		"address", "{command}",
		"title", topology.CommandsExchange,
		"description", "Requests to whoever serves a provider, led to the queue "+topology.CommandsQueue+
			". They are mandatory and expire at the deadline, so that a bridge that is away is seen at once.",
		"messages", requests,
		"parameters", fields("command", fields("description", "The command's name, which is the routing key.", "enum", commandNames)),
		"bindings", exchangeBinding(topology.CommandsExchange, topology.KindDirect),
	))
	channels.set(repliesChannel, fields(
		"address", nil,
		"title", "replies",
		"description", "RabbitMQ's direct reply-to: the address is in the request's property reply-to.",
		"messages", replies,
	))
	return channels
}

func requeueChannel() *object {
	return fields(
		"address", "{exchange}.{partition}",
		"title", topology.RequeueExchange,
		"description", "What an operator puts back into the partition that it came through, with the headers that it was parked with. "+
			"Only a service's own user may put something back for it.",
		"messages", fields("deadLetter", ref("components/messages/deadLetter")),
		"parameters", fields(
			"exchange", fields("description", "The service's partitions.", "enum", []any{topology.SessionsEvents, topology.BridgeEvents}),
			"partition", fields("description", "Counted from 0.", "default", "0"),
		),
		"bindings", exchangeBinding(topology.RequeueExchange, topology.KindDirect),
	)
}

func exchangeBinding(name, kind string) *object {
	return fields("amqp", fields(
		"is", "routingKey",
		"exchange", fields("name", name, "type", kind, "durable", true, "autoDelete", false),
		"bindingVersion", amqpBinding,
	))
}

func queueBinding(name string, autoDelete bool) *object {
	return fields("amqp", fields(
		"is", "queue",
		"queue", fields("name", name, "durable", true, "exclusive", false, "autoDelete", autoDelete),
		"bindingVersion", amqpBinding,
	))
}

// channelID is an id that references may hold: dots and dashes are for addresses.
func channelID(address string) string {
	joined := pascal(address)
	return strings.ToLower(joined[:1]) + joined[1:]
}

func (c *catalogue) asyncOperations() *object {
	operations := fields()
	for _, user := range c.senders() {
		operations.set("send"+pascal(user), fields(
			"action", "send",
			"channel", ref("channels/"+eventsChannel),
			"title", "Events that the user "+user+" may send",
			"description", "Persistent, confirmed, with message-id the eventId and user-id the broker user.",
			"messages", c.messageRefs(eventsChannel, func(t eventType) bool { return maySend(user, t.name) }),
			"bindings", fields("amqp", fields("userId", user, "deliveryMode", 2, "timestamp", true, "bindingVersion", amqpBinding)),
		))
	}
	operations.set("receiveEvents", fields(
		"action", "receive",
		"channel", ref("channels/"+eventsChannel),
		"title", "What any consumer may bind to",
		"messages", c.messageRefs(eventsChannel, every),
	))
	for _, exchange := range []string{topology.SessionsEvents, topology.BridgeEvents} {
		id, dead := channelID(exchange), channelID(topology.DeadQueue(exchange))
		operations.set("receive"+pascal(exchange), fields(
			"action", "receive",
			"channel", ref("channels/"+id),
			"title", "The events of the partitions that a replica holds",
			"messages", c.messageRefs(id, every),
			"bindings", fields("amqp", fields("ack", true, "bindingVersion", amqpBinding)),
		))
		operations.set("park"+pascal(exchange), fields(
			"action", "send",
			"channel", ref("channels/"+dead),
			"title", "What the service parks, and never requeues",
			"messages", []any{ref("channels/" + dead + "/messages/deadLetter")},
			"bindings", fields("amqp", fields("deliveryMode", 2, "bindingVersion", amqpBinding)),
		))
	}
	requeue := channelID(topology.RequeueExchange)
	operations.set(requeue, fields(
		"action", "send",
		"channel", ref("channels/"+requeue),
		"title", "What the command dead requeue puts back",
		"messages", []any{ref("channels/" + requeue + "/messages/deadLetter")},
		"bindings", fields("amqp", fields("deliveryMode", 2, "bindingVersion", amqpBinding)),
	))
	for _, one := range c.commands {
		c.commandOperations(operations, one)
	}
	return operations
}

func (c *catalogue) commandOperations(operations *object, one command) {
	for _, side := range []struct{ action, service string }{{"send", topology.UserSessions}, {"receive", topology.UserBridge}} {
		operations.set(side.action+pascal(one.name), fields(
			"action", side.action,
			"channel", ref("channels/"+commandsChannel),
			"title", fmt.Sprintf("%s, as %s %ss it", one.name, side.service, side.action),
			"description", one.request.text("description"),
			"messages", []any{ref("channels/" + commandsChannel + "/messages/" + one.name + ".request")},
			"reply", fields(
				"address", fields("location", "$message.header#/reply-to", "description", "The property reply-to."),
				"channel", ref("channels/"+repliesChannel),
				"messages", []any{ref("channels/" + repliesChannel + "/messages/" + one.name + ".reply")},
			),
		))
	}
}

// senders are the broker users that send events at their source, in the order of the types.
func (c *catalogue) senders() []string {
	var users []string
	seen := map[string]bool{}
	for _, t := range c.types {
		if !seen[t.producer] {
			seen[t.producer] = true
			users = append(users, t.producer)
		}
	}
	return users
}

func maySend(user, name string) bool { return events.MaySend(user, events.Type(name)) }

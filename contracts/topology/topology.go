// Package topology says which exchanges, queues and bindings Callplane keeps on RabbitMQ. It is data only: each service declares the
// whole of it before it publishes anything, so that an event that is confirmed has a queue even where its consumer never ran.
package topology

// Names on the broker that other programs may build on.
const (
	// EventsExchange takes every canonical event; the routing key is the event's type. Other consumers bind queues of their own to it.
	EventsExchange = "call.events"
	// SessionsEvents and BridgeEvents spread the events over the partitions of each service by the header session-id.
	SessionsEvents = "sessions.call-events"
	BridgeEvents   = "bridge.call-events"
	// DeadExchange takes what a consumer could not accept; the routing key is the name of its dead queue (see DeadQueue).
	DeadExchange = "call.dead"
	// RequeueExchange puts what was parked back: the routing key is the name of the partition's queue that it came through. A consumer
	// takes messages of it from its own service's user only.
	RequeueExchange = "call.requeue"
	// CommandsExchange takes requests to whoever serves a provider; the routing key is the command's name.
	CommandsExchange = "call.commands"
	// CommandsQueue holds requests for the bridge. It exists only while a bridge consumes from it.
	CommandsQueue = "bridge.commands"
	// HintsExchange tells every replica of sessions that a session's log has grown. What it carries may be lost.
	HintsExchange = "sessions.hints"
	// PartitionsExchange carries no messages: its arguments hold the number of partitions, which the broker compares on each declaration.
	PartitionsExchange = "call.partitions"
	// RingExchange carries no messages and goes with the broker: its being there tells that the queues of the consistent-hash exchanges were
	// bound in their order since the broker's last start. Who does that holds an exclusive queue of the same name meanwhile.
	RingExchange = "call.ring"
)

// Broker users that may send events and commands. The broker checks that a message's user-id is that of the connection.
const (
	UserSessions = "sessions"
	UserBridge   = "bridge"
)

// HeaderSessionID is the message header that events are partitioned by.
const HeaderSessionID = "session-id"

// Kinds of exchanges.
const (
	KindTopic          = "topic"
	KindDirect         = "direct"
	KindFanout         = "fanout"
	KindConsistentHash = "x-consistent-hash" // plugin rabbitmq_consistent_hash_exchange, part of RabbitMQ's distribution
)

// Topology is a set of broker objects, in the order in which they are to be declared: exchanges, queues, bindings.
type Topology struct {
	Exchanges []Exchange
	Queues    []Queue
	Bindings  []Binding
}

// Exchange is a durable exchange.
type Exchange struct {
	Name string
	Kind string
	// Internal exchanges take messages from other exchanges only, never from a client.
	Internal bool
	Args     map[string]any
}

// Queue is a durable queue. AutoDelete queues go with their last consumer.
type Queue struct {
	Name       string
	AutoDelete bool
	Args       map[string]any
}

// Binding leads messages from the exchange Source to the queue, or with ToExchange the exchange, Destination.
type Binding struct {
	Source      string
	Destination string
	ToExchange  bool
	Key         string
	Args        map[string]any
}
